"""Logins are asked for in a thread of their own, and silence is no answer."""

from collections.abc import Iterator
from threading import Event

import pytest

from drift_agent.config import ImageOptions
from drift_agent.drift.login_watch import LATE_SECONDS, NO_ANSWER, LoginWatch
from drift_agent.drift.logins import LoginAnswer, Logins
from fakes import FakeClock
from waiting import wait_until


class HandClock(FakeClock):
    """Moves only when the test says so: who waits on it waits for the event."""

    def wait(self, event: Event, seconds: float) -> bool:
        return event.wait()


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Until it is set nothing is answered."""
    may_answer = Event()

    def look(_: Logins, __: Event) -> LoginAnswer:
        may_answer.wait()
        return [], []

    monkeypatch.setattr(Logins, "look", look)
    yield may_answer
    may_answer.set()


def test_an_answer_that_does_not_come_is_said_until_one_does(answer: Event) -> None:
    """A file system that hung left an instance clean, whoever came in."""
    clock = HandClock()
    watch = LoginWatch(ImageOptions(), clock, 0, lambda: None)
    assert watch.take() == [], "nobody was asked"
    watch.begin()
    clock.advance(LATE_SECONDS - 1.0)
    assert watch.take() == []
    clock.advance(1.0)
    assert watch.take() == watch.take() == [([], [NO_ANSWER])]
    answer.set()
    wait_until(lambda: watch.take() == [([], [])], what="the answer")
    assert watch.take() == []
    watch.stop()
