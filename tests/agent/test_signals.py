"""Signals end what waits, whatever the main thread is doing when they come."""

import os
import signal
import subprocess
import sys
from threading import Event

import pytest

from drift_agent.signals import NUMBERS, calling_on_signals
from waiting import PATIENCE

SIGNALLED_OFTEN = """
import signal
from threading import Event
from drift_agent import signals
signals.NUMBERS = (signal.SIGALRM,)
event, heard = Event(), 0
def act():
    global heard
    heard += 1
    event.set()
with signals.calling_on_signals(act):
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    while heard < 10_000:
        event.wait(1e-6)
        event.clear()
    signal.setitimer(signal.ITIMER_REAL, 0)
"""


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_is_heard_and_the_handlers_from_before_come_back(number: signal.Signals) -> None:
    before = [signal.getsignal(one) for one in NUMBERS]
    event = Event()
    with calling_on_signals(event.set):
        os.kill(os.getpid(), number)
        assert event.wait(PATIENCE)
    assert [signal.getsignal(one) for one in NUMBERS] == before


def test_other_signals_are_none_of_its_business() -> None:
    calls: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda *_: None)
    try:
        with calling_on_signals(lambda: calls.append(1)):
            os.kill(os.getpid(), signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert calls == []


def test_setting_what_the_main_thread_waits_for_never_stops_it() -> None:
    """With a handler that sets the event itself it is stuck, or out of its depth, in a second or two."""
    subprocess.run([sys.executable, "-c", SIGNALLED_OFTEN], check=True, timeout=PATIENCE)
