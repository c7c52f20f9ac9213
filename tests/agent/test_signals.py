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
from drift_agent.signals import calling_on_signals
event, heard = Event(), 0
def act():
    global heard
    heard += 1
    event.set()
with calling_on_signals(act):
    handler = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    while heard < 3000:
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


def test_setting_what_the_main_thread_waits_for_never_blocks_it() -> None:
    """A handler that sets the event itself is stuck within seconds of this."""
    subprocess.run([sys.executable, "-c", SIGNALLED_OFTEN], check=True, timeout=PATIENCE)
