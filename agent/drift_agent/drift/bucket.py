"""A token bucket: a burst at once, then one in a while."""

from collections.abc import Callable
from typing import Final

BURST: Final = 10
REFILL_SECONDS: Final = 10.0


class TokenBucket:
    """`burst` tokens, full at first; one comes back every `refill` seconds."""

    def __init__(self, monotonic: Callable[[], float], burst: int = BURST, refill: float = REFILL_SECONDS) -> None:
        self._monotonic = monotonic
        self._burst = burst
        self._refill = refill
        self._tokens = float(burst)
        self._at = monotonic()

    def ready_in(self) -> float:
        """Seconds until a token can be taken; 0.0 when one is there."""
        self._fill()
        return max(0.0, (1.0 - self._tokens) * self._refill)

    def take(self) -> bool:
        """Takes a token if there is one."""
        self._fill()
        # The sum of many small refills may fall short of a whole token by a rounding error.
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        return True

    def _fill(self) -> None:
        now = self._monotonic()
        self._tokens = min(float(self._burst), self._tokens + (now - self._at) / self._refill)
        self._at = now
