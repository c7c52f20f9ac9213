"""Hints of watchdog's own observer, on a real file system."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from watchdog.observers.api import BaseObserver

from drift_agent.drift.dirty import DirtySet
from drift_agent.drift.observer import ObserverWatcher
from trees import Link, make_tree
from waiting import wait_until


class Marks:
    """A watcher of `/etc` and `/opt` below a root, and every path that it marked."""

    def __init__(self, root: Path) -> None:
        self.seen: set[str] = set()
        self._dirty = DirtySet(lambda: None)
        self.watcher = ObserverWatcher(str(root), self._dirty, ["/etc", "/opt", "/srv"])

    def has(self, *paths: str) -> bool:
        self.seen |= self._dirty.take().paths
        return set(paths) <= self.seen


@contextmanager
def watching(root: Path) -> Iterator[Marks]:
    marks = Marks(root)
    marks.watcher.start()
    try:
        yield marks
    finally:
        marks.watcher.stop()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(
        tmp_path / "root", {"etc/ssh": None, "etc/motd": "x", "elsewhere/file": "x", "opt": Link("elsewhere")}
    )


def test_what_happens_below_a_root_is_marked_by_its_path_in_the_tree(root: Path) -> None:
    with watching(root) as marks:
        (root / "etc/ssh/key").write_text("new")
        wait_until(lambda: marks.has("/etc/ssh/key"))
        (root / "etc/motd").unlink()
        wait_until(lambda: marks.has("/etc/motd"))
        os.rename(root / "etc/ssh/key", root / "etc/renamed")
        wait_until(lambda: marks.has("/etc/renamed"))
    assert marks.watcher.problem == ""


def test_a_root_that_is_a_link_leads_nowhere_and_the_others_are_watched(root: Path) -> None:
    with watching(root) as marks:
        (root / "elsewhere/file").write_text("y")
        (root / "etc/after").write_text("x")
        wait_until(lambda: marks.has("/etc/after"))
        assert not any(path.startswith(("/opt", "/elsewhere")) for path in marks.seen)


def test_what_cannot_be_watched_is_a_problem_and_no_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: BaseObserver) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(BaseObserver, "start", refuse)
    with watching(root) as marks:
        assert marks.watcher.problem == "watching is not possible: No space left on device"
        marks.watcher.scanned(0.0)


def test_it_may_be_ended_twice_and_without_a_beginning(root: Path) -> None:
    Marks(root).watcher.stop()
    with watching(root) as marks:
        marks.watcher.stop()
