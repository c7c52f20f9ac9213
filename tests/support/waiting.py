"""Waiting for what must come.

A test never says how long something takes: the machine may be busy, or its disk slow. It says what must come, and
gives up after a time that only a fault reaches.
"""

import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 120.0
"""Seconds after which a test gives up waiting. Only a failure takes that long."""


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE, what: str = "the condition") -> None:
    """Returns as soon as `condition()` holds; fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds:g} s")
        time.sleep(0.02)
