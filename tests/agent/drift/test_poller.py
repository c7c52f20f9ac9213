"""A poller asks in its own thread, and ends when it is told to."""

import threading
from threading import Event

import pytest

from drift_agent.clock import SystemClock
from drift_agent.drift.poller import Poller
from waiting import PATIENCE


def test_answers_wait_in_order_until_they_are_taken() -> None:
    woken = Event()
    numbers = iter(range(1000))
    poller = Poller("numbers", lambda _: next(numbers), 0.01, SystemClock(), woken.set)
    poller.start()
    taken: list[int] = []
    while len(taken) < 3:
        assert woken.wait(PATIENCE)
        woken.clear()
        taken += poller.take()
    poller.stop()
    assert taken == list(range(len(taken)))


def test_it_ends_while_it_is_asked() -> None:
    asked = Event()

    def look(stop: Event) -> None:
        asked.set()
        assert stop.wait(PATIENCE)

    before = set(threading.enumerate())
    poller = Poller("slow", look, 1.0, SystemClock(), lambda: None)
    poller.start()
    assert asked.wait(PATIENCE)
    poller.stop()
    assert set(threading.enumerate()) <= before
    assert poller.take() == [None]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_that_fails_is_the_takers_failure() -> None:
    def fail(_: Event) -> None:
        raise ValueError("a fault of ours")

    poller = Poller("faulty", fail, 1.0, SystemClock(), lambda: None)
    poller.start()
    poller.stop()
    with pytest.raises(RuntimeError, match="faulty"):
        poller.take()
