"""Complete scans, one at a time, in a thread that is idle to the scheduler."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock

from drift_agent.clock import Clock
from drift_agent.drift.check_result import CheckResult
from drift_agent.drift.comparison import Comparison
from drift_agent.drift.knowledge import Look
from drift_agent.drift.login_records import LOGIN
from drift_agent.drift.runtime import KINDS
from drift_agent.drift.runtime.fact import Observation
from drift_agent.image.inspect import ReadStoppedError
from drift_agent.model import Change


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan found, the comparison it was made with (the taker closes it), and when it began (monotonic s)."""

    comparison: Comparison
    result: CheckResult
    observed: Observation
    shared: list[Change]
    began: float

    def look(self) -> Look:
        """The tree and what runs, as one look: what stands at the seal is sealed together."""
        covers = self.result.coverage()
        return Look(
            [*self.result.changes, *self.observed.changes],
            [*self.result.unreadable, *self.observed.unreadable],
            lambda kind, key: kind != LOGIN and (kind in KINDS or covers(kind, key)),
            self.result.omitted,
        )


class ScanStopped(ReadStoppedError):  # noqa: N818 (no error: how a scan is left)
    """The scan was given up because the agent ends."""


class Scanner:
    """`begin` a scan, be woken, `take` what it found."""

    def __init__(
        self,
        open_comparison: Callable[[], Comparison],
        executor: Executor,
        clock: Clock,
        wake: Callable[[], None],
        files_per_second: int = 0,
        bytes_per_second: int = 0,
    ) -> None:
        """`executor` is ended by `stop`. `files_per_second` and `bytes_per_second` bound the pace; 0 does not."""
        self._open = open_comparison
        self._executor = executor
        self._clock = clock
        self._wake = wake
        self._files_per_second = files_per_second
        self._bytes_per_second = bytes_per_second
        self._stop = Event()
        self._future: Future[Scanned] | None = None

    @property
    def busy(self) -> bool:
        """Whether a scan was begun whose outcome was not taken."""
        return self._future is not None

    def begin(self, *, rehash: bool = False) -> None:
        """Begins a scan; only while not busy. With `rehash` every content is read."""
        self._future = self._executor.submit(self._scan, rehash=rehash)
        self._future.add_done_callback(lambda _: self._wake())

    def take(self) -> Scanned | None:
        """What the scan found; None while it runs, and where none does.

        Raises:
            DriftlineError: the manifest cannot be believed, or the root not be opened.
            ScanStopped: the scanner was stopped.
        """
        future = self._future
        if future is None or not future.done():
            return None
        self._future = None
        return future.result()

    def stop(self) -> None:
        """Gives a scan up, and ends the thread before it returns: within a block of what is being read."""
        self._stop.set()
        self._executor.shutdown(wait=True)

    def _scan(self, *, rehash: bool) -> Scanned:
        """The manifest is opened anew each time: one that was replaced or removed must show."""
        began = self._clock.monotonic()
        comparison = self._open()
        try:
            looked_at = _Pace(self._files_per_second, self._clock, self._stop)
            read = _Pace(self._bytes_per_second, self._clock, self._stop)
            result = comparison.tree(looked_at.reach, read.add, rehash=rehash)
            return Scanned(comparison, result, comparison.runtime(), comparison.shared_identities(result), began)
        except BaseException:
            comparison.close()
            raise


class _Pace:
    """Holds those who count up to a number in a second, on average since it was made; 0 does not. Thread-safe."""

    def __init__(self, per_second: int, clock: Clock, stop: Event) -> None:
        self._per_second = per_second
        self._clock = clock
        self._stop = stop
        self._began = clock.monotonic()
        self._count = 0
        self._lock = Lock()

    def add(self, count: int) -> None:
        """So many more were done."""
        with self._lock:
            self._count += count
            total = self._count
        self.reach(total)

    def reach(self, total: int) -> None:
        """So many were done by now; waits while that is ahead of the pace.

        Raises:
            ScanStopped: `stop` is set.
        """
        if self._per_second:
            ahead = total / self._per_second - (self._clock.monotonic() - self._began)
            if ahead > 0.0:
                self._clock.wait(self._stop, ahead)
        if self._stop.is_set():
            raise ScanStopped


def idle_thread() -> Executor:
    """One thread that runs when nobody else wants to.

    Its I/O is idle too: the block layer goes by the CPU's class where no class was set. A thread that waits for the
    CPU with the interpreter's lock held up the others for 1.1 s at most, measured with four spinning processes on two
    cores; that is what a scan may cost a machine that has nothing to spare.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="scan", initializer=_be_idle)


def _be_idle() -> None:
    if sys.platform == "linux":
        try:
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        except OSError:  # a sandbox may forbid it; then the scan is like everything else
            pass
