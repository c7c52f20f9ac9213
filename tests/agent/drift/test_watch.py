"""Which watcher a system has, and what stands where none watches."""

import sys
from pathlib import Path

import pytest

from drift_agent.drift.dirty import DirtySet
from drift_agent.drift.hints import Hints
from drift_agent.drift.observer import ObserverWatcher
from drift_agent.drift.watch import WATCHED, NoWatcher, Watcher, watcher_of
from drift_agent.image.policy import Policy
from drift_agent.image.policy_file import PROFILES, load_policy
from fakes import FakeClock


def made(platform: str, root: Path) -> Watcher:
    return watcher_of(str(root), ["/etc"], platform)(DirtySet(lambda: None), lambda _: False)


@pytest.mark.skipif(sys.platform != "linux", reason="its bindings need a libc that has inotify")
def test_linux_is_watched_by_inotify_itself(tmp_path: Path) -> None:
    from drift_agent.drift.inotify import InotifyWatcher

    assert isinstance(made("linux", tmp_path), InotifyWatcher)


@pytest.mark.parametrize("platform", ["darwin", "freebsd14"])
def test_other_systems_by_watchdogs_observer(platform: str, tmp_path: Path) -> None:
    assert isinstance(made(platform, tmp_path), ObserverWatcher)


def test_where_none_watches_nothing_is_begun_and_nothing_is_a_problem() -> None:
    hints = Hints(lambda *_: NoWatcher(), FakeClock(), lambda: None, lambda _: None, lambda _: None)
    hints.begin(lambda _: False)
    hints.scanned(0.0)
    assert (hints.begun, hints.problem, hints.notice(), hints.ripe_in()) == (False, "", False, None)
    hints.stop()


@pytest.mark.parametrize("profile", PROFILES)
def test_no_watched_root_is_ignored(profile: str) -> None:
    policy: Policy = load_policy(None, profile, layers=("cloud-init",))
    assert [path for path in WATCHED if policy.decide(path).path_class == "ignored"] == []
