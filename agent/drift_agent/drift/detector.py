"""The detector: looks at the machine, remembers, and says what it found. One thread; decides when, never how.

A complete scan at the start and every `scan_interval`; between them only the paths that a watcher hints at. What was
found is taken in (`knowledge`), written to `state.db`, and only then leaves (`reporter`).
"""

import os
from collections.abc import Callable
from threading import Event, RLock
from typing import Final

from drift_agent import __version__
from drift_agent.clock import Clock
from drift_agent.config import Config
from drift_agent.drift.check import CheckResult
from drift_agent.drift.comparison import Comparison
from drift_agent.drift.dirty import DirtySet
from drift_agent.drift.knowledge import Knowledge, Look
from drift_agent.drift.points import Summary
from drift_agent.drift.reporter import Emit, Reporter
from drift_agent.drift.state import StateStore
from drift_agent.drift.watch import WATCHED, MakeWatcher, NoWatcher, Watcher, watcher_of
from drift_agent.errors import DriftlineError
from drift_agent.identity import Identity
from drift_agent.model import State

SLICE_SECONDS: Final = 0.5
"""Longest wait between two looks at `stop`, for a caller that sets it without `wake`."""

LEAST_PAUSE_SECONDS: Final = 1.0
PAUSE_FACTOR: Final = 4.0
"""After a scan lost hints bring no other for this long: the first at least, else this many times its length."""

RETRY_SECONDS: Final = 60.0
"""How soon a manifest that could not be opened is tried again."""


class _Stopped(Exception):  # noqa: N818 (no error: how a scan is left)
    pass


class Detector:
    """See the module. `run` belongs to one thread; `wake` and `last_word` may be called from any."""

    def __init__(
        self,
        config: Config,
        identity: Identity,
        open_comparison: Callable[[], Comparison],
        store: StateStore,
        clock: Clock,
        emit: Emit,
        log: Callable[[str], None],
        *,
        make_watcher: MakeWatcher | None = None,
        clock_offset: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`open_comparison` raises a DriftlineError where there is no manifest; `store` belongs to the detector now."""
        self._config = config
        self._identity = identity
        self._open = open_comparison
        self._clock = clock
        self._emit = emit
        self._log = log
        self._clock_offset = clock_offset
        self._lock = RLock()
        self._wake = Event()
        self._stop = Event()
        self._silent = False
        self._dirty = DirtySet(self._wake.set, clock.monotonic)
        self._make_watcher = make_watcher or watcher_of(config.image.root)
        self._watcher: Watcher = NoWatcher()
        self._watching = False
        self._watch_problem = ""
        self._reporter = Reporter(identity.instance, config.agent.report_interval, clock)
        self._comparison: Comparison | None = None
        self._problem = ""
        self._started = clock.monotonic()
        self._next_scan = clock.monotonic()
        self._scan: CheckResult | None = None
        self._scan_at = 0
        self._scanned = 0.0
        self._knowledge = Knowledge(store, log, clock.time_ns())

    # ------------------------------------------------------------------------------------------- schedule

    def run(self, stop: Event) -> None:
        """Detects until `stop` is set; call `wake` after setting it for an end without delay."""
        self._stop = stop
        self._watching = self._config.image.watch
        try:
            self._state_now()
            while not stop.is_set():
                self.step()
                self._wait(stop)
        except _Stopped:
            pass
        finally:
            self._watcher.stop()
            self._close_comparison()

    def once(self) -> State:
        """One complete look without watching, and its points; the state it came to."""
        self._full_scan()
        self._state_now()
        self._close_comparison()
        return self.current_state()

    def step(self) -> None:
        """Does whatever is due now."""
        if self._clock.monotonic() >= self._next_scan or self._seal_is_due():
            self._full_scan()
        self._look_at_dirty()
        self._notice_watcher()
        if self._reporter.due_in() <= 0.0:
            self._state_now()

    def wake(self) -> None:
        """Ends a wait early: something is due, or `stop` was set."""
        self._wake.set()

    def _wait(self, stop: Event) -> None:
        waits = [self._next_scan - self._clock.monotonic(), self._reporter.due_in(), SLICE_SECONDS]
        ripe = self._dirty.ripe_in()
        if ripe is not None:
            waits.append(ripe)
        if min(waits) > 0.0 and not stop.is_set():
            self._clock.wait(self._wake, min(waits))
        self._wake.clear()

    # -------------------------------------------------------------------------------------------- looking

    def _full_scan(self) -> None:
        self._next_scan = self._clock.monotonic() + self._config.image.scan_interval
        began, settled = self._clock.monotonic(), self._settled()
        try:
            comparison = self._opened()
            self._dirty.take()
            result = comparison.tree(self._on_progress)
        except DriftlineError as error:
            self._cannot_compare(error)
            return
        self._problem = ""
        self._scan, self._scan_at, self._scanned = result, self._clock.time_ns(), self._clock.monotonic()
        self._knowledge.take_in(_look(result), self._scan_at, settled=settled)
        self._reporter.changed()
        self._watcher.scanned(began)

    def _on_progress(self) -> None:
        """A long scan neither holds the end up nor what there is to say."""
        if self._stop.is_set():
            raise _Stopped
        if self._reporter.due_in() <= 0.0:
            self._state_now()

    def _look_at_dirty(self) -> None:
        comparison, scan = self._comparison, self._scan
        if self._dirty.ripe_in() != 0.0 or scan is None or comparison is None:
            return
        dirty = self._dirty.take()
        if dirty.everything:
            self._rescan_soon(scan)
            return
        try:
            result = comparison.paths(dirty.paths, dirty.trees)
        except DriftlineError as error:
            self._cannot_compare(error)
            return
        if self._knowledge.take_in(_look(result), self._clock.time_ns()):
            self._reporter.changed()
        if self._knowledge.is_empty and scan.observed != comparison.digest:
            # What is said to be clean must add up: `observed` is only as new as the last complete scan.
            self._full_scan()

    def _rescan_soon(self, last: CheckResult) -> None:
        """At once, unless it was just done: a tree that never rests must not keep a core busy."""
        pause = max(LEAST_PAUSE_SECONDS, PAUSE_FACTOR * last.seconds)
        self._next_scan = min(self._next_scan, max(self._clock.monotonic(), self._scanned + pause))

    def _seal_is_due(self) -> bool:
        return self._scan is not None and not self._knowledge.memory.sealed and self._settled()

    def _settled(self) -> bool:
        """Whether first boot is over: cloud-init has finished, or there is none, or it was waited for long enough."""
        if self._clock.monotonic() - self._started >= self._config.image.settle:
            return True
        return cloud_init_is_done(self._config.image.root)

    def _opened(self) -> Comparison:
        """The manifest, opened anew: one that was replaced or removed must show.

        The first time the watcher starts with it: what changes while the first scan looks must not be missed.
        """
        self._close_comparison()
        self._comparison = self._open()
        if self._watching and isinstance(self._watcher, NoWatcher):
            self._watcher = self._make_watcher(self._dirty, self._comparison.is_ignored)
            self._watcher.start()
        return self._comparison

    def _cannot_compare(self, error: DriftlineError) -> None:
        self._close_comparison()
        self._next_scan = self._clock.monotonic() + min(RETRY_SECONDS, self._config.image.scan_interval)
        if str(error) != self._problem:
            self._problem = str(error)
            self._log(f"state is unverified: {error}")
            self._reporter.changed()

    def _close_comparison(self) -> None:
        if self._comparison is not None:
            self._comparison.close()
            self._comparison = None

    # --------------------------------------------------------------------------------------------- saying

    def current_state(self) -> State:
        """The agent's own word for what it knows now."""
        if self._scan is None:
            return "unverified" if self._problem else "pending"
        if self._knowledge.ledger.open or self._knowledge.ledger.reverted:
            return "drifted"
        if self._knowledge.logins:
            return "tainted"
        return "unverified" if self._problem or self._knowledge.unreadable else "clean"

    def status(self) -> dict[str, object]:
        """What `drift-agent status` shows of the detector, as JSON values. Times are Unix ns."""
        return {
            "state": self.current_state(),
            "problem": self._problem,
            "watched": list(WATCHED) if self._watching else [],
            "degraded": self._watcher.problem,
            "outstanding": len(self._knowledge.ledger.open),
            "reverted": len(self._knowledge.ledger.reverted),
            "unreadable": [f"{one.kind} {one.key}: {one.error}" for one in [*self._knowledge.unreadable.values()][:20]],
            "scan_at": self._scan_at,
            "scan_seconds": self._scan.seconds if self._scan else 0.0,
            "sealed": self._knowledge.memory.sealed,
        }

    def last_word(self, state: State) -> None:
        """Says `stopped` or `terminated`; nothing is said after it."""
        with self._lock:
            if not self._silent:
                self._say(self._summary(state))
                self._silent = True

    def close(self) -> None:
        """Closes `state.db`; for after the last word."""
        self._knowledge.close()

    def _state_now(self) -> None:
        with self._lock:
            if not self._silent:
                self._say(self._summary(self.current_state()))

    def _say(self, summary: Summary) -> None:
        statement = self._reporter.state(summary, self._knowledge.changes(), self._knowledge.memory)
        self._knowledge.write(statement.memory)
        self._emit(statement.points)

    def _summary(self, state: State) -> Summary:
        comparison, scan, known = self._comparison, self._scan, self._knowledge
        return Summary(
            state=state,
            manifest=comparison.digest if comparison else "",
            policy=comparison.policy_digest if comparison else "",
            observed=scan.observed if scan else "",
            agent_version=__version__,
            boot_id=self._identity.boot_id,
            added=known.count("added"),
            removed=known.count("removed"),
            modified=known.count("modified"),
            reverted=len(known.ledger.reverted),
            logins=len(known.logins),
            unreadable=len(known.unreadable),
            scanned=scan.scanned if scan else 0,
            scan_at=self._scan_at,
            interval=max(1, round(self._config.agent.report_interval)),
            scan_interval=max(1, round(self._config.image.scan_interval)),
            degraded=bool(self._watch_problem),
            scan_seconds=scan.seconds if scan else 0.0,
            clock_offset=self._clock_offset(),
        )

    def _notice_watcher(self) -> None:
        """Says at once that watching fell back to scanning, and that it is whole again."""
        problem = self._watcher.problem
        if problem == self._watch_problem:
            return
        if problem:
            self._log(f"changes are found by the scans alone: {problem}")
        else:
            self._log("changes are found as they happen again")
        self._watch_problem = problem
        self._reporter.changed()


def _look(result: CheckResult) -> Look:
    return Look(result.changes, result.unreadable, result.scope.covers)


def cloud_init_is_done(root: str) -> bool:
    """Whether cloud-init's result stands under `root`, or the image has none, or has it turned off."""

    def stands(path: str) -> bool:
        return os.path.lexists(os.path.join(root, path))

    if stands("run/cloud-init/result.json") or stands("run/cloud-init/disabled"):
        return True
    if stands("etc/cloud/cloud-init.disabled"):
        return True
    return not (stands("usr/bin/cloud-init") or stands("etc/cloud/cloud.cfg"))
