"""How an output is doing: what it counted, when it may be tried again, and what the log hears of it."""

import logging
import random
from dataclasses import dataclass
from typing import Final

from drift_agent.clock import Clock
from drift_agent.ship.backoff import REFUSED_SECONDS, backoff

LOG: Final = logging.getLogger("driftline.ship")

_SAY_AGAIN_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 1.0
"""How often a refused output looks whether its token's file has changed."""


@dataclass(slots=True)
class Numbers:
    """Counts since the start; `write_ns` is how long the last write took; times are Unix ns, 0 for never."""

    written: int = 0
    rejected: int = 0
    errors: int = 0
    write_ns: int = 0
    last_ack: int = 0
    last_error: str = ""
    last_error_at: int = 0
    retry_at: int = 0


class Pace:
    """One output's waits.

    The log hears of each refusal (every 30 s), and of other trouble when it begins and then once a minute.
    """

    def __init__(self, label: str, clock: Clock, rng: random.Random) -> None:
        self._label = label
        self._clock = clock
        self._rng = rng
        self._retry_at = 0.0
        self._said_at = -_SAY_AGAIN_SECONDS
        self.failures = 0
        """How many exchanges in a row came to nothing."""
        self.refused = False
        self.numbers = Numbers()

    @property
    def failing(self) -> bool:
        """Whether the last exchange did not go well."""
        return bool(self.failures or self.refused)

    def rest(self) -> float:
        """Seconds of the wait that are left; of a refusal in short parts, so that somebody looks for a new token."""
        left = max(0.0, self._retry_at - self._clock.monotonic())
        return min(left, _LOOK_SECONDS) if self.refused else left

    def hurry(self) -> None:
        """The wait is over."""
        self._retry_at = 0.0

    def passed(self) -> None:
        """The server took something."""
        if self.failing:
            LOG.warning("output %s: takes data again", self._label)
        self.failures, self.refused = 0, False
        self._retry_at, self._said_at = 0.0, -_SAY_AGAIN_SECONDS
        self.numbers.last_ack = self._clock.time_ns()
        self.numbers.retry_at = 0

    def refuse(self, reason: str) -> None:
        """A human has to act: tried again in 30 s."""
        self.refused = True
        self._said_at = -_SAY_AGAIN_SECONDS
        self._wait(REFUSED_SECONDS, reason)

    def fail(self, reason: str, retry_after: float) -> None:
        """It may pass: tried again after what the server asked for, and jitter."""
        self.failures += 1
        self._wait(backoff(self.failures, retry_after, self._rng), reason)

    def note(self, reason: str) -> None:
        """Something was refused, and nothing has to wait for it."""
        self.numbers.errors += 1
        self.numbers.last_error = reason
        self.numbers.last_error_at = self._clock.time_ns()

    def _wait(self, seconds: float, reason: str) -> None:
        self.note(reason)
        now = self._clock.monotonic()
        self._retry_at = now + seconds
        self.numbers.retry_at = self._clock.time_ns() + round(seconds * 1e9)
        if now - self._said_at >= _SAY_AGAIN_SECONDS:
            self._said_at = now
            LOG.warning("output %s: %s; nothing is lost, again in %.1f s", self._label, reason, seconds)
