"""The detector: looks at the machine, remembers, and says what it found. One thread; decides when, never how.

A complete scan at the start and every `scan_interval`; between them only the paths that a watcher hints at. What was
found goes through the seal (`seal`), the ledger (`ledger`) and the reporter (`reporter`), is written to `state.db`, and
only then leaves.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Event, RLock
from typing import Final

from drift_agent import __version__
from drift_agent.clock import Clock
from drift_agent.config import Config
from drift_agent.drift import seal
from drift_agent.drift.check import CheckResult
from drift_agent.drift.comparison import Comparison
from drift_agent.drift.dirty import DirtySet
from drift_agent.drift.ledger import Ledger, advance, is_empty
from drift_agent.drift.points import Summary
from drift_agent.drift.reporter import Emit, Reporter, Statement
from drift_agent.drift.state import Delta, Key, Memory, StateStore
from drift_agent.drift.watch import MakeWatcher, NoWatcher, Watcher, watcher_of
from drift_agent.errors import DriftlineError
from drift_agent.identity import Identity
from drift_agent.model import Change, State, Unreadable

SLICE_SECONDS: Final = 0.5
"""Longest wait between two looks at `stop`, for a caller that sets it without `wake`."""

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
        self._store = store
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
        self._unreadable: dict[Key, Unreadable] = {}
        self._memory = store.memory()
        self._ledger = Ledger(store.items("open"), store.items("reverted"))
        self._seal = store.items("seal")
        if not self._memory.first_boot:
            self._memory = replace(self._memory, first_boot=clock.time_ns())

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
        self._scan, self._scan_at = result, self._clock.time_ns()
        self._unreadable = {(one.kind, one.key): one for one in result.unreadable}
        self._take_in(result, settled=settled)
        self._reporter.changed()
        self._watcher.scanned(began)

    def _on_progress(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _look_at_dirty(self) -> None:
        if self._dirty.ripe_in() != 0.0 or self._scan is None or self._comparison is None:
            return
        dirty = self._dirty.take()
        if dirty.everything:
            self._next_scan = self._clock.monotonic()
            return
        try:
            result = self._comparison.paths(dirty.paths, dirty.trees)
        except DriftlineError as error:
            self._cannot_compare(error)
            return
        fresh = {(one.kind, one.key): one for one in result.unreadable}
        kept = {key: one for key, one in self._unreadable.items() if not result.scope.covers(*key)}
        self._unreadable = {**kept, **fresh}
        self._take_in(result)
        if not self._ledger.open and self._scan.observed != self._comparison.digest:
            # What is said to be clean must add up: `observed` is only as new as the last complete scan.
            self._full_scan()

    def _is_unreadable(self, key: Key) -> bool:
        """What cannot be read was not seen: it has not been put right."""
        kind, name = key
        return key in self._unreadable or any(
            kind == other and name.startswith(top.rstrip("/") + "/") for other, top in self._unreadable
        )

    def _take_in(self, result: CheckResult, *, settled: bool = False) -> None:
        """Puts what was seen through seal and ledger, and onto the disk."""

        def in_scope(key: Key) -> bool:
            return result.scope.covers(*key) and not self._is_unreadable(key)

        seen = {(change.kind, change.key): change for change in result.changes}
        memory, delta = self._memory, Delta()
        if not memory.sealed and settled:
            self._seal = seal.of(seen)
            memory = replace(memory, sealed=self._clock.time_ns(), seal=seal.digest(self._seal))
            delta.put["seal"] = self._seal.values()
            self._log(f"first boot is over: {len(self._seal)} items of this instance are sealed")
        found = {key: change for key, change in seen.items() if change.path_class != "sealed"}
        if memory.sealed:
            found |= seal.compare(self._seal, seen, in_scope)
        now = self._clock.time_ns()
        self._ledger, moved = advance(self._ledger, found, in_scope, now, latch=bool(memory.sealed))
        if is_empty(moved) and not delta.put:
            return
        self._reporter.changed()
        self._write(memory, Delta({**delta.put, **moved.put}, moved.drop))

    def _seal_is_due(self) -> bool:
        return self._scan is not None and not self._memory.sealed and self._settled()

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
        if self._ledger.open or self._ledger.reverted:
            return "drifted"
        return "unverified" if self._problem or self._unreadable else "clean"

    def last_word(self, state: State) -> None:
        """Says `stopped` or `terminated`; nothing is said after it."""
        with self._lock:
            if not self._silent:
                self._say(self._summary(state))
                self._silent = True

    def close(self) -> None:
        """Closes `state.db`; for after the last word."""
        self._store.close()

    def _state_now(self) -> None:
        with self._lock:
            if not self._silent:
                self._say(self._summary(self.current_state()))

    def _say(self, summary: Summary) -> None:
        changes = [*self._ledger.open.values(), *self._ledger.reverted.values()]
        statement: Statement = self._reporter.state(summary, changes, self._memory)
        self._write(statement.memory, Delta())
        self._emit(statement.points)

    def _summary(self, state: State) -> Summary:
        counts = _count(self._ledger.open)
        comparison, scan = self._comparison, self._scan
        return Summary(
            state=state,
            manifest=comparison.digest if comparison else "",
            policy=comparison.policy_digest if comparison else "",
            observed=scan.observed if scan else "",
            agent_version=__version__,
            boot_id=self._identity.boot_id,
            added=counts["added"],
            removed=counts["removed"],
            modified=counts["modified"],
            reverted=len(self._ledger.reverted),
            unreadable=len(self._unreadable),
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

    def _write(self, memory: Memory, delta: Delta) -> None:
        """A state that cannot be written is kept in memory: what was found must leave all the same."""
        self._memory = memory
        try:
            self._store.write(memory, delta)
        except sqlite3.Error as error:
            self._log(f"state.db cannot be written ({error}): what is known now would not survive a restart")


def _count(changes: Mapping[Key, Change]) -> dict[str, int]:
    counts = dict.fromkeys(("added", "removed", "modified"), 0)
    for change in changes.values():
        counts[change.change] += 1
    return counts


def cloud_init_is_done(root: str) -> bool:
    """Whether cloud-init's result stands under `root`, or the image has none, or has it turned off."""

    def stands(path: str) -> bool:
        return os.path.lexists(os.path.join(root, path))

    if stands("run/cloud-init/result.json") or stands("run/cloud-init/disabled"):
        return True
    if stands("etc/cloud/cloud-init.disabled"):
        return True
    return not (stands("usr/bin/cloud-init") or stands("etc/cloud/cloud.cfg"))
