"""Time, passed in: the real one here, a hand-turned one in the tests (`tests/support/fakes.py`)."""

import time
from threading import Event
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from, and how to wait."""

    def time_ns(self) -> int:
        """Unix time in ns; may step back."""

    def monotonic(self) -> float:
        """Seconds that never step back; what intervals are measured with."""

    def wait(self, event: Event, seconds: float) -> bool:
        """Waits until `event` is set (True) or `seconds` have passed (False)."""


class SystemClock:
    """The machine's clock."""

    def time_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))
