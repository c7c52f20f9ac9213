"""When the detector looks again. Plain arithmetic on monotonic seconds; whoever asks says what the time is."""

from typing import Final

from drift_agent.config import ImageOptions

LEAST_PAUSE_SECONDS: Final = 1.0
"""How long after a scan none begins on request, at least."""

PAUSE_FACTOR: Final = 4.0
"""After a long scan it is this many times its length: scans take a fifth of the time at most."""

RUNTIME_SECONDS: Final = 60.0
"""How often what runs is looked at."""

RETRY_SECONDS: Final = 60.0
"""How soon a manifest that could not be opened is tried again."""


class Schedule:
    """A scan at once and every `scan_interval`, sooner on request; one in `rehash_interval` believes nothing."""

    def __init__(self, options: ImageOptions, now: float) -> None:
        self._options = options
        self._scan = self._rehash = self._runtime = now
        self._rests_until = now
        self._rehashing = False
        self._scanning = self._again = False

    def scan_in(self, now: float) -> float:
        """Seconds until a scan is due; 0 or less where it is."""
        return self._scan - now

    def has_rested(self, now: float) -> bool:
        """Whether the pause after the last scan is over."""
        return now >= self._rests_until

    def runtime_is_due(self, now: float) -> bool:
        """Whether it is time to look at what runs."""
        return now >= self._runtime

    def scan_begins(self, now: float) -> bool:
        """A scan begins; whether it is to read every content."""
        self._scan = now + self._options.scan_interval
        self._scanning, self._again = True, False
        self._rehashing = now >= self._rehash
        if self._rehashing:
            self._rehash = now + self._options.rehash_interval
        return self._rehashing

    def scan_ended(self, now: float, seconds: float) -> None:
        """It is complete, and took that long; it looked at what runs too."""
        self._rehashing = self._scanning = False
        self._rests_until = now + max(LEAST_PAUSE_SECONDS, PAUSE_FACTOR * seconds)
        if self._again:
            self._scan = min(self._scan, self._rests_until)
        self._runtime = now + RUNTIME_SECONDS

    def scan_failed(self, now: float) -> None:
        """It came to nothing: another soon, which reads every content if this one was to."""
        if self._rehashing:
            self._rehash = now
        self._scanning = False
        self._scan = self._rests_until = now + min(RETRY_SECONDS, self._options.scan_interval)

    def rescan(self, now: float) -> None:
        """Asks for a scan: at once, or after the pause where one runs or has just ended.

        A tree that never rests must not keep a core busy.
        """
        if self._scanning:
            self._again = True
        else:
            self._scan = min(self._scan, max(now, self._rests_until))

    def looked_at_runtime(self, now: float) -> None:
        """What runs was looked at."""
        self._runtime = now + RUNTIME_SECONDS
