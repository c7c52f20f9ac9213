"""What is said is on the disk before it leaves, says what is known, and ends with the last word."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from detectors import IDENTITY, newest_set, said
from drift_agent import __version__
from drift_agent.config import AgentOptions, Config, ImageOptions
from drift_agent.drift.announcer import Announcer, Basis
from drift_agent.drift.knowledge import Knowledge, Look
from drift_agent.drift.state import Memory, StateStore
from drift_agent.model import Change, Point, Unreadable
from fakes import FakeClock
from looks import modified

BASIS = Basis(manifest="1:sha256:m", policy="1:sha256:p", observed="1:sha256:o", scanned=7, scan_at=5, scan_seconds=0.5)


class Desk:
    """An announcer, what it said, and what the disk held each time that it said something."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "state.db")
        self.clock = FakeClock()
        self.known = Knowledge(StateStore.open(self.path, "m", ""), lambda _: None, 1)
        self.points: list[Point] = []
        self.on_disk: list[Memory] = []
        config = Config(agent=AgentOptions(report_interval=60.0), image=ImageOptions(scan_interval=900.0))
        self.announcer = Announcer(config, IDENTITY, self.known, self.clock, self._emit, lambda: -1.5)

    def _emit(self, points: Sequence[Point]) -> None:
        self.points += points
        copy = StateStore.copy(self.path, "m", "")
        self.on_disk.append(copy.memory())
        copy.close()

    def know(self, *changes: Change, unreadable: tuple[Unreadable, ...] = (), settled: bool = False) -> None:
        look = Look(list(changes), list(unreadable), lambda *_: True)
        self.known.take_in(look, self.clock.time_ns(), settled=settled)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.known.close()


def test_a_number_is_on_the_disk_before_its_point_leaves(desk: Desk) -> None:
    for _ in range(3):
        desk.announcer.changed()
        desk.announcer.say("clean", BASIS)
    assert [memory.seq for memory in desk.on_disk] == [point.fields["seq"] for point in said(desk.points)] == [1, 2, 3]
    assert desk.on_disk[-1].report == said(desk.points)[-1].fields["report"]


def test_a_point_says_what_is_known_and_what_that_rests_on(desk: Desk) -> None:
    desk.know(settled=True)
    desk.know(modified("/a"), Change("file", "/b", "removed"), Change("file", "/c", "added"))
    desk.know(modified("/a"), Change("file", "/b", "removed"), unreadable=(Unreadable("file", "/d", "denied"),))
    desk.known.take_in_logins([Change("login", "eve@tty1", "added")], 3)
    desk.announcer.say("drifted", replace(BASIS, degraded=True))
    (point,) = said(desk.points)
    wanted = {
        "state": "drifted", "added": 0, "removed": 1, "modified": 1, "reverted": 1, "logins": 1, "unreadable": 1,
        "manifest": "1:sha256:m", "policy": "1:sha256:p", "observed": "1:sha256:o", "seal": desk.known.memory.seal,
        "scanned": 7, "scan_at": 5, "scan_seconds": 0.5, "degraded": 1, "interval": 60, "scan_interval": 900,
        "boot_id": "boot-1", "agent_version": __version__, "clock_offset": -1.5,
    }  # fmt: skip
    assert {name: point.fields[name] for name in wanted} == wanted
    assert point.tags == {"instance": IDENTITY.instance}


def test_the_items_leave_with_the_point_once_something_changed(desk: Desk) -> None:
    desk.know(modified("/a"))
    desk.announcer.say("drifted", BASIS)
    assert newest_set(desk.points) == []
    desk.announcer.changed()
    assert desk.announcer.due_in() == 0.0
    desk.announcer.say("drifted", BASIS)
    assert [point.fields["key"] for point in newest_set(desk.points)] == ["/a"]


def test_after_the_last_word_nothing_is_said_and_nothing_counted(desk: Desk) -> None:
    desk.announcer.last_word("stopped", BASIS)
    desk.announcer.changed()
    desk.announcer.say("clean", BASIS)
    desk.announcer.last_word("terminated", BASIS)
    assert [point.fields["state"] for point in said(desk.points)] == ["stopped"]
    assert desk.known.memory.seq == 1


def test_an_interval_of_less_than_a_second_is_said_as_one(desk: Desk) -> None:
    config = Config(agent=AgentOptions(report_interval=0.2), image=ImageOptions(scan_interval=0.4))
    Announcer(config, IDENTITY, desk.known, desk.clock, desk._emit).say("clean", BASIS)
    (point,) = said(desk.points)
    assert (point.fields["interval"], point.fields["scan_interval"]) == (1, 1)
