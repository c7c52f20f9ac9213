"""The spool's file over time: opened when it can be, set aside when it is damaged, tried again when it was full."""

import logging
import os
from collections.abc import Callable
from typing import Final, TypeVar

from drift_agent.clock import Clock
from drift_agent.ship.database import DamagedError, Database, UnwritableError, set_aside, translated

LOG: Final = logging.getLogger("driftline.ship")

T = TypeVar("T")
_TRY_AGAIN_SECONDS: Final = 1.0
_WELL_SECONDS: Final = 10.0
"""For how long nothing may fail before it is said that the file can be written again: on a full disk a small write
succeeds now and then."""
_SHRINK_SECONDS: Final = 60.0
"""How often the file is shrunk at most: one that fills and empties at each flush is not rewritten each time."""


class SpoolFile:
    """Runs work on the database, and answers for its faults. The caller holds a lock.

    `on_open` is called with each database that is opened: at the start, and after one was set aside.
    """

    def __init__(self, path: str, max_bytes: int, clock: Clock, on_open: Callable[[Database], None]) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._clock = clock
        self._on_open = on_open
        self._database: Database | None = None
        self._closed = False
        self._failed_at = 0.0
        self._complained = False
        self._shrunk_at = -_SHRINK_SECONDS
        self.problem = ""
        """Why it cannot be written; empty while it can."""
        self.damaged: list[str] = []
        """The new names of files that were set aside since the start."""

    def may_try(self) -> bool:
        """False for a second after a failure: a full disk is not asked at every put."""
        return not self.problem or abs(self._clock.monotonic() - self._failed_at) >= _TRY_AGAIN_SECONDS

    def write(self, work: Callable[[Database], T]) -> T | None:
        """As `use`; where it works, the file is known to take new rows."""
        result = self.use(work)
        if result is not None:
            self._note("")
        return result

    def use(self, work: Callable[[Database], T]) -> T | None:
        """What `work` returns (never None); None while the file cannot be used.

        A damaged file is set aside, and `work` is done on a new one.

        Raises:
            InputError: the file was written by a newer version.
        """
        if self._closed:
            return None
        for _ in range(2):
            try:
                with translated():
                    return work(self.opened())
            except DamagedError as error:
                self._set_aside(error)
            except UnwritableError as error:
                self._note(str(error))
                return None
        self._note("it is damaged again as soon as it is made")
        return None

    def shrink(self) -> None:
        """Gives the space of a backlog that is gone back to the file system, at most once a minute."""
        if self._clock.monotonic() - self._shrunk_at >= _SHRINK_SECONDS:
            self.use(self._shrink)

    def opened(self) -> Database:
        """The database, opened if it was not."""
        if self._database is None:
            try:
                database = Database(self.path, self._max_bytes)
            except OSError as error:
                raise UnwritableError(error.strerror or str(error)) from error
            try:
                self._on_open(database)
            except BaseException:
                database.close()
                raise
            self._database = database
        return self._database

    def close(self) -> None:
        """Nothing is read or written any more."""
        self._closed = True
        self._drop()

    def _shrink(self, database: Database) -> bool:
        if database.is_mostly_free():
            self._shrunk_at = self._clock.monotonic()
            database.shrink()
        return True

    def _drop(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _set_aside(self, error: DamagedError) -> None:
        self._drop()
        try:
            aside = set_aside(self.path, self._clock.time_ns())
        except OSError as failure:
            self._note(f"it is damaged ({error}) and cannot be renamed: {os.strerror(failure.errno or 0)}")
            return
        self.damaged.append(aside)
        LOG.error("%s was damaged (%s): set aside as %s, and begun anew", self.path, error, aside)

    def _note(self, problem: str) -> None:
        now = self._clock.monotonic()
        if problem and not self._complained:
            self._complained = True
            LOG.error("%s cannot be written: %s; log tailing pauses, the rest waits in memory", self.path, problem)
        elif self._complained and not problem and now - self._failed_at >= _WELL_SECONDS:
            self._complained = False
            LOG.warning("%s can be written again", self.path)
        if problem:
            self._failed_at = now
        self.problem = problem
