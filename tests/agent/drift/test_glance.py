"""A look that leaves no trace says what the detector would say next."""

import hashlib
import threading
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from drift_agent.clock import SystemClock
from drift_agent.config import AgentOptions, Config, ImageOptions
from drift_agent.drift import glance as module
from drift_agent.drift.check_result import CheckResult
from drift_agent.drift.comparison import CACHE, ImageComparison
from drift_agent.drift.glance import glance
from drift_agent.drift.state import Memory, StateStore
from drift_agent.drift.state_record import Delta
from drift_agent.errors import InputError
from drift_agent.identity import Identity
from drift_agent.image.manifest import Manifest
from drift_agent.model import Change, Point
from trees import bake_tree, make_tree

IDENTITY = Identity("i-1", "web-1", "demo@1", "default", "boot-1", machine="m")
LONG = 600.0
SEALED = Memory(seq=7, sealed=5, seal="1:sha256:x", first_boot=5)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A machine whose motd is no longer the image's, with an agent's folder."""
    root = make_tree(tmp_path / "root", {"etc": {"motd": "hello\n", "issue": "one\n"}, "usr/bin/tool": "#!/bin/sh\n"})
    bake_tree(root, tmp_path / "manifest.jsonl").close()
    (root / "etc/motd").write_text("changed\n")
    (tmp_path / "state").mkdir()
    return Config(
        agent=AgentOptions(state_dir=str(tmp_path / "state")),
        image=ImageOptions(root=str(root), manifest=str(tmp_path / "manifest.jsonl")),
    )


def look(config: Config, seconds: float = LONG) -> tuple[list[Point] | None, list[str]]:
    """The points, and what was logged."""
    said: list[str] = []
    return glance(config, IDENTITY, SystemClock(), seconds, said.append), said


def report(config: Config) -> Point:
    points, _ = look(config)
    assert points
    return points[-1]


def contents(config: Config) -> dict[str, str]:
    """Every file of the state folder; of SQLite's shared memory, where readers leave their marks, only that it is."""
    folder = Path(config.agent.state_dir)
    read = {path.name: b"" if path.name.endswith("-shm") else path.read_bytes() for path in folder.iterdir()}
    return {name: hashlib.sha256(content).hexdigest() for name, content in read.items()}


def test_it_says_what_differs_and_makes_no_file(config: Config) -> None:
    points, said = look(config)
    assert points is not None
    assert [(point.measurement, point.fields.get("key")) for point in points] == [
        ("drift_item", "/etc/motd"),
        ("drift", None),
    ]
    assert (points[-1].fields["state"], points[-1].fields["seq"]) == ("drifted", 1)
    assert (contents(config), said) == ({}, [])


@pytest.mark.parametrize("running", [False, True])
def test_it_goes_on_from_what_the_agent_remembers_and_leaves_that_alone(config: Config, running: bool) -> None:
    """While an agent writes there, and after one that has ended."""
    store = StateStore.open(f"{config.agent.state_dir}/state.db", "m", "")
    put_back = Change("file", "/etc/issue", "reverted", first_seen=6)
    store.write(SEALED, Delta(put={"reverted": [put_back]}))
    if not running:
        store.close()
    before = contents(config)
    fields = report(config).fields
    assert (fields["reverted"], fields["modified"], fields["seq"], fields["sealed"]) == (1, 1, 8, 5)
    assert contents(config) == before
    if running:
        assert store.memory() == SEALED
        store.close()


def test_contents_that_the_agent_knows_are_not_read_again(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a copy of the agent's stat cache, which stays as it is."""
    with Manifest.open(config.image.manifest) as manifest:
        cache = f"{config.agent.state_dir}/{CACHE}"
        ImageComparison(config.image.root, manifest, cache).tree(lambda _: None, lambda _: None, rehash=True)
    before = contents(config)
    seen: list[tuple[bool, str | None]] = []

    class Watched(module._Glance):
        def tree(self, *arguments: Any, **options: Any) -> CheckResult:
            with open(self._cache or "", "rb") as file:
                seen.append((self._cache != cache, hashlib.sha256(file.read()).hexdigest()))
            return super().tree(*arguments, **options)

    monkeypatch.setattr(module, "_Glance", Watched)
    assert report(config).fields["modified"] == 1
    assert seen == [(True, before[CACHE])]
    assert contents(config) == before


def test_without_a_manifest_it_says_unverified_as_the_agent_would(config: Config) -> None:
    Path(config.image.manifest).unlink()
    points, said = look(config)
    assert points is not None
    assert points[-1].fields["state"] == "unverified"
    assert config.image.manifest in said[0]


def test_what_takes_too_long_is_given_up_and_ends(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = Event()

    class Slow(module._Glance):
        def tree(self, *arguments: Any, **options: Any) -> CheckResult:
            may_go_on.wait(LONG)
            return super().tree(*arguments, **options)

    monkeypatch.setattr(module, "_Glance", Slow)
    before = set(threading.enumerate())
    assert look(config, 0.05) == (None, [])
    (left,) = set(threading.enumerate()) - before
    assert left.daemon  # it holds up no end of the process
    may_go_on.set()
    left.join(LONG)
    assert not left.is_alive()


def test_state_that_is_not_this_machines_or_cannot_be_read_is_left_out_and_said(config: Config) -> None:
    path = f"{config.agent.state_dir}/state.db"
    store = StateStore.open(path, "another", "")
    store.write(SEALED)
    store.close()
    points, said = look(config)
    assert points is not None
    assert points[-1].fields["seq"] == 1
    assert "belongs to another machine" in said[0]
    Path(path).write_bytes(b"no database" * 100)
    points, said = look(config)
    assert points is not None
    assert points[-1].fields["seq"] == 1
    assert "cannot be read" in said[0]


def test_state_of_a_later_version_is_an_error(config: Config) -> None:
    path = f"{config.agent.state_dir}/state.db"
    store = StateStore.open(path, "m", "")
    with store._db:
        store._db.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
    store.close()
    with pytest.raises(InputError, match="later version"):
        look(config)
