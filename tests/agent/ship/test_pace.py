"""When an output is tried again, and what the log hears of it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.ship.backoff import REFUSED_SECONDS
from drift_agent.ship.pace import Pace
from fakes import FakeClock


class Desk:
    """A pace, its clock, and what was said."""

    def __init__(self, caplog: pytest.LogCaptureFixture | None = None) -> None:
        self.clock = FakeClock()
        self.pace = Pace("out", self.clock, random.Random(1))
        self._caplog = caplog

    @property
    def said(self) -> list[str]:
        assert self._caplog is not None
        return [record.message.partition(";")[0] for record in self._caplog.records]

    def sit_out(self) -> float:
        """Rests as often as it takes; for how long that was."""
        began = self.clock.monotonic()
        while (seconds := self.pace.rest()) > 0.0:
            self.clock.advance(seconds)
        return self.clock.monotonic() - began


@pytest.fixture
def desk(caplog: pytest.LogCaptureFixture) -> Desk:
    caplog.set_level("WARNING", "driftline.ship")
    return Desk(caplog)


def test_what_is_well_never_waits_and_says_nothing(desk: Desk) -> None:
    assert desk.pace.rest() == 0.0
    desk.pace.passed()
    assert (desk.pace.failing, desk.pace.rest(), desk.said) == (False, 0.0, [])
    assert desk.pace.numbers.last_ack == desk.clock.time_ns()


@given(st.lists(st.floats(0.0, 3600.0), min_size=1, max_size=12))
def test_a_failure_waits_for_what_the_server_asked_and_at_most_a_minute_more(asked: list[float]) -> None:
    desk = Desk()
    for number, seconds in enumerate(asked, 1):
        desk.pace.fail("503", seconds)
        assert desk.pace.failures == desk.pace.numbers.errors == number
        assert seconds <= desk.sit_out() <= seconds + 60.0 + 1e-6


def test_a_refusal_waits_in_short_parts_so_that_a_new_token_is_seen(desk: Desk) -> None:
    desk.pace.refuse("401")
    assert desk.pace.rest() <= 1.0
    assert desk.sit_out() == pytest.approx(REFUSED_SECONDS)
    assert desk.pace.failing


def test_each_refusal_is_said_and_other_trouble_at_its_begin_and_once_a_minute(desk: Desk) -> None:
    for _ in range(3):
        desk.pace.refuse("401")
    assert desk.said == ["output out: 401"] * 3
    desk.pace.passed()
    desk.pace.fail("503", 0.0)
    for _ in range(10):
        desk.clock.advance(5.0)
        desk.pace.fail("again", 0.0)
    assert desk.said[3:] == ["output out: takes data again", "output out: 503"]
    desk.clock.advance(10.0)
    desk.pace.fail("still", 0.0)
    assert desk.said[5:] == ["output out: still"]


def test_what_takes_data_again_is_said_once_and_trouble_after_it_at_once(desk: Desk) -> None:
    desk.pace.fail("503", 100.0)
    desk.pace.passed()
    desk.pace.passed()
    assert desk.pace.rest() == desk.pace.numbers.retry_at == desk.pace.failures == 0
    desk.pace.fail("504", 0.0)
    assert desk.said == ["output out: 503", "output out: takes data again", "output out: 504"]


def test_who_is_in_a_hurry_waits_no_more_and_what_failed_still_failed(desk: Desk) -> None:
    desk.pace.fail("503", 100.0)
    desk.pace.hurry()
    assert (desk.pace.rest(), desk.pace.failing) == (0.0, True)


def test_what_is_only_noted_is_counted_and_holds_nobody_up(desk: Desk) -> None:
    desk.pace.note("400 a bad line")
    numbers = desk.pace.numbers
    assert (numbers.errors, numbers.last_error, numbers.last_error_at) == (1, "400 a bad line", desk.clock.time_ns())
    assert (desk.pace.rest(), desk.pace.failing, desk.said) == (0.0, False, [])
