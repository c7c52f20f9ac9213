"""A watcher as the detector uses it: begun when there is something to watch with, and heard when it falls back."""

from collections.abc import Callable

import pytest

from drift_agent.drift.dirty import LONGEST_SECONDS, DirtySet
from drift_agent.drift.hints import Hints
from fakes import FakeClock


class FakeWatcher:
    """Marks what a test says, and remembers what it was told."""

    def __init__(self, dirty: DirtySet, ignored: Callable[[str], bool]) -> None:
        self.dirty = dirty
        self.ignored = ignored
        self.problem = ""
        self.told: list[object] = []

    def start(self) -> None:
        self.told.append("start")

    def scanned(self, began: float) -> None:
        self.told.append(began)

    def stop(self) -> None:
        self.told.append("stop")


class Desk:
    """Hints, their watcher once it is made, and what was said."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.made: list[FakeWatcher] = []
        self.log: list[str] = []
        self.informed: list[str] = []
        self.woken = 0
        self.hints = Hints(self._make, self.clock, self._wake, self.log.append, self.informed.append)

    def _make(self, dirty: DirtySet, ignored: Callable[[str], bool]) -> FakeWatcher:
        self.made.append(FakeWatcher(dirty, ignored))
        return self.made[-1]

    def _wake(self) -> None:
        self.woken += 1

    def begin(self) -> FakeWatcher:
        self.hints.begin(lambda path: path == "/etc/ignored")
        return self.made[-1]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_before_it_has_begun_nothing_is_watched_and_nothing_is_wrong(desk: Desk) -> None:
    assert (desk.hints.begun, desk.hints.ripe_in(), desk.hints.notice(), desk.hints.problem) == (False, None, False, "")
    desk.hints.scanned(1.0)
    desk.hints.stop()
    assert desk.made == []


def test_what_is_marked_wakes_the_detector_and_can_be_taken_once_it_is_ripe(desk: Desk) -> None:
    watcher = desk.begin()
    assert desk.hints.begun
    assert watcher.ignored("/etc/ignored")
    watcher.dirty.mark("/etc/motd")
    assert desk.woken == 1
    ripe_in = desk.hints.ripe_in()
    assert ripe_in is not None
    assert 0.0 < ripe_in <= LONGEST_SECONDS
    desk.clock.advance(LONGEST_SECONDS)
    assert desk.hints.ripe_in() == 0.0
    assert desk.hints.take().paths == {"/etc/motd"}
    assert desk.hints.ripe_in() is None


def test_each_fall_back_and_each_return_is_said_once(desk: Desk) -> None:
    watcher = desk.begin()
    news = []
    for problem in ("", "hints were lost", "hints were lost", "no watches left", "", ""):
        watcher.problem = problem
        news.append(desk.hints.notice())
        assert desk.hints.problem == problem
    assert news == [False, True, False, True, True, False]
    assert desk.log == [
        "changes are found by the scans alone: hints were lost",
        "changes are found by the scans alone: no watches left",
    ]
    assert desk.informed == ["changes are found as they happen"]


def test_a_problem_counts_from_when_it_was_noticed_so_that_it_is_said_before_it_is_gone(desk: Desk) -> None:
    watcher = desk.begin()
    watcher.problem = "hints were lost"
    assert desk.hints.problem == ""
    desk.hints.notice()
    watcher.problem = ""
    assert desk.hints.problem == "hints were lost"


def test_the_watcher_is_told_of_each_scan_and_of_the_end(desk: Desk) -> None:
    watcher = desk.begin()
    desk.hints.scanned(7.5)
    desk.hints.stop()
    assert watcher.told == ["start", 7.5, "stop"]
