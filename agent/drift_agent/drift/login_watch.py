"""Asks for logins again and again, and says where no answer comes."""

from collections.abc import Callable
from threading import Event
from typing import Final

from drift_agent.clock import Clock
from drift_agent.config import ImageOptions
from drift_agent.drift.login_records import LOGIN
from drift_agent.drift.logins import LoginAnswer, Logins
from drift_agent.drift.poller import Poller
from drift_agent.model import Unreadable

LOGIN_SECONDS: Final = 15.0

LATE_SECONDS: Final = 600.0
"""How long an answer may take: the first goes through the journals and logs of weeks."""

NO_ANSWER: Final = Unreadable(LOGIN, "/", "the logs of logins have not been gone through for ten minutes")


class LoginWatch:
    """Asks for logins every `LOGIN_SECONDS` in a thread of its own."""

    def __init__(self, options: ImageOptions, clock: Clock, since: int, wake: Callable[[], None]) -> None:
        self._logins = Logins(options.root, clock, since=since, allowed=options.allow_logins)
        self._poller = Poller("logins", self._logins.look, LOGIN_SECONDS, clock, wake)
        self._clock = clock
        self._begun = False
        self._late_at = 0.0

    def begin(self) -> None:
        """Begins to ask; nothing where that was done."""
        if not self._begun:
            self._begun = True
            self._late_at = self._clock.monotonic() + LATE_SECONDS
            self._poller.start()

    def once(self) -> LoginAnswer:
        """Asks in this thread, and waits."""
        return self._logins.look(Event())

    def take(self) -> list[LoginAnswer]:
        """What was answered since the last time; where that is too long ago, that nothing can be read.

        A file system that does not answer holds the thread that asks, and nobody who comes in is seen.
        """
        answers = self._poller.take()
        now = self._clock.monotonic()
        if answers:
            self._late_at = now + LATE_SECONDS
        elif self._begun and now >= self._late_at:
            return [([], [NO_ANSWER])]
        return answers

    def stop(self) -> None:
        """Ends the thread before it returns."""
        self._poller.stop()
