"""When a drift point and its set of items leave, and with which stamps: in order, once, and at no time twice."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.bucket import BURST, REFILL_SECONDS
from drift_agent.drift.points import MAX_ITEMS, STAMP_STEP, Summary
from drift_agent.drift.reporter import Reporter, Statement
from drift_agent.drift.state import Memory
from drift_agent.model import Change, Point, State
from fakes import FakeClock
from looks import modified

INTERVAL = 60.0


class Desk:
    """A reporter, and the memory that its caller keeps."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.memory = Memory()
        self.points: list[Point] = []
        self.restart()

    def restart(self) -> None:
        self.reporter = Reporter("i-1", INTERVAL, self.clock)

    def say(self, *changes: Change, state: State = "clean", more: int = 0) -> Statement:
        """Its word of now; what is to be remembered is."""
        statement = self.reporter.statement(Summary(state), changes, self.memory, more)
        self.memory = statement.memory
        self.points += statement.points
        return statement

    def since(self, state: State) -> float:
        """Seconds for which it says to be in that state."""
        point = self.say(state=state).points[-1]
        return (point.time - int(point.fields["since"])) / 1e9


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_first_point_is_due_at_once_and_then_one_each_interval(desk: Desk) -> None:
    assert desk.reporter.due_in() == 0.0
    desk.say()
    assert desk.reporter.due_in() == INTERVAL
    desk.clock.advance(INTERVAL + 1.0)
    assert desk.reporter.due_in() == 0.0


def test_without_a_change_the_point_leaves_alone_and_speaks_of_the_set_that_left_before(desk: Desk) -> None:
    desk.reporter.changed()
    desk.say(modified("/a"))
    report = desk.memory.report
    desk.clock.advance(INTERVAL)
    (point,) = desk.say(modified("/a")).points
    assert (point.measurement, point.fields["report"]) == ("drift", report)


def test_a_change_is_due_at_once_and_its_items_stand_before_the_point_that_names_them(desk: Desk) -> None:
    desk.say()
    desk.reporter.changed()
    assert desk.reporter.due_in() == 0.0
    *items, point = desk.say(modified("/a"), modified("/b")).points
    assert [item.fields["key"] for item in items] == ["/a", "/b"]
    assert {item.fields["report"] for item in items} == {point.fields["report"]}
    assert desk.reporter.due_in() == INTERVAL


def test_once_the_bucket_is_empty_all_changes_wait_for_the_next_token_and_leave_in_one(desk: Desk) -> None:
    for number in range(BURST):
        desk.reporter.changed()
        assert len(desk.say(modified(f"/{number}")).points) == 2
    desk.reporter.changed()
    assert desk.reporter.due_in() == pytest.approx(REFILL_SECONDS)
    assert len(desk.say(modified("/x")).points) == 1, "it can be said that something is, not yet what"
    desk.clock.advance(REFILL_SECONDS)
    assert desk.reporter.due_in() == 0.0
    assert len(desk.say(modified("/x"), modified("/y")).points) == 3
    assert desk.reporter.due_in() == INTERVAL


@given(
    st.lists(st.tuples(st.integers(-3_600_000_000_000, 60_000_000_000), st.integers(0, 4), st.booleans()), max_size=12)
)
def test_whatever_the_clock_does_no_two_items_share_a_time_and_sets_never_go_back(
    steps: list[tuple[int, int, bool]],
) -> None:
    desk = Desk()
    for step, count, restarts in steps:
        desk.clock.now_ns += step
        desk.clock.mono += REFILL_SECONDS
        if restarts:
            desk.restart()
        desk.reporter.changed()
        desk.say(*(modified(f"/{number}") for number in range(count)))
    times = [point.time for point in desk.points if point.measurement == "drift_item"]
    assert times == sorted(set(times))
    reports = [int(point.fields["report"]) for point in desk.points if point.measurement == "drift"]
    assert reports == sorted(set(reports))
    assert not any(report % STAMP_STEP for report in reports)
    assert [p.fields["seq"] for p in desk.points if p.measurement == "drift"] == list(range(1, len(steps) + 1))


@pytest.mark.parametrize("count", [MAX_ITEMS - 1, MAX_ITEMS, MAX_ITEMS + 1])
def test_the_next_set_begins_behind_the_last_item_of_this_one(desk: Desk, count: int) -> None:
    desk.reporter.changed()
    *items, _ = desk.say(*(modified(f"/{number}") for number in range(count)), more=7).points
    assert desk.memory.report_end > items[-1].time


def test_since_is_when_the_state_began_and_outlives_a_restart(desk: Desk) -> None:
    assert desk.since("clean") == 0.0
    desk.clock.advance(100.0)
    assert desk.since("clean") == 100.0
    assert desk.since("drifted") == 0.0
    desk.clock.advance(10.0)
    desk.restart()
    assert desk.since("drifted") == 10.0


@pytest.mark.parametrize("transient", ["pending", "stopped", "terminated"])
def test_a_state_of_the_agent_alone_does_not_end_that_of_the_machine(desk: Desk, transient: State) -> None:
    desk.since("clean")
    desk.clock.advance(100.0)
    assert desk.since(transient) == 0.0
    desk.clock.advance(5.0)
    assert desk.since(transient) == 5.0
    desk.restart()
    assert desk.since("clean") == 105.0


def test_the_point_has_the_seal_and_the_memory_keeps_it(desk: Desk) -> None:
    desk.memory = replace(desk.memory, sealed=9, seal="1:sha256:x")
    (point,) = desk.say().points
    assert (point.fields["sealed"], point.fields["seal"]) == (9, "1:sha256:x")
    assert (desk.memory.sealed, desk.memory.seal) == (9, "1:sha256:x")
