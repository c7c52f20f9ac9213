"""The detector: looks at the machine, remembers, and says what it found. One thread; decides when, never how.

A complete scan at the start and every `scan_interval`; between them only the paths that a watcher hints at. What was
found is taken in (`knowledge`), written to `state.db`, and only then leaves (`announcer`).
"""

from collections.abc import Callable, Iterable
from threading import Event
from typing import Final

from drift_agent.clock import Clock
from drift_agent.config import Config
from drift_agent.drift import first_boot
from drift_agent.drift.announcer import Announcer, Basis
from drift_agent.drift.check import CheckResult
from drift_agent.drift.comparison import Comparison
from drift_agent.drift.dirty import DirtySet
from drift_agent.drift.knowledge import Knowledge, Look
from drift_agent.drift.logins import LOGIN, Logins
from drift_agent.drift.poller import Poller
from drift_agent.drift.reporter import Emit
from drift_agent.drift.runtime import KINDS
from drift_agent.drift.runtime.fact import Observation
from drift_agent.drift.state import StateStore
from drift_agent.drift.watch import WATCHED, MakeWatcher, NoWatcher, Watcher, watcher_of
from drift_agent.errors import DriftlineError
from drift_agent.identity import Identity
from drift_agent.model import Change, State, Unreadable

SLICE_SECONDS: Final = 0.5
"""Longest wait between two looks at `stop`, for a caller that sets it without `wake`."""

LEAST_PAUSE_SECONDS: Final = 1.0
PAUSE_FACTOR: Final = 4.0
"""After a scan lost hints bring no other for this long: the first at least, else this many times its length."""

RUNTIME_SECONDS: Final = 60.0
LOGIN_SECONDS: Final = 15.0
SETTLED_SECONDS: Final = 1.0
"""How often what runs, who logged in and the end of first boot are looked at."""

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
        booted: int = 0,
    ) -> None:
        """`open_comparison` raises a DriftlineError where there is no manifest; `store` belongs to the detector now.

        `booted` (Unix ns; now): when the machine booted. Where nothing is remembered, that was its first boot.
        """
        self._config = config
        self._open = open_comparison
        self._clock = clock
        self._log = log
        self._wake = Event()
        self._stop = Event()
        self._dirty = DirtySet(self._wake.set, clock.monotonic)
        self._make_watcher = make_watcher or watcher_of(config.image.root)
        self._watcher: Watcher = NoWatcher()
        self._running = self._watching = False
        self._watch_problem = ""
        self._comparison: Comparison | None = None
        self._digests = ("", "")
        self._problem = ""
        self._started = clock.monotonic()
        self._next_scan = self._next_runtime = self._next_settled = clock.monotonic()
        self._scan: CheckResult | None = None
        self._scan_at = 0
        self._scanned = 0.0
        self._knowledge = Knowledge(store, log, min(booted or clock.time_ns(), clock.time_ns()))
        self._announcer = Announcer(config, identity, self._knowledge, clock, emit, clock_offset)
        self._logins = Logins(
            config.image.root,
            clock,
            since=self._knowledge.memory.first_boot,
            allowed=config.image.allow_logins,
        )
        self._first_boot_over = bool(self._knowledge.memory.sealed)
        self._poller: Poller[tuple[list[Change], list[Unreadable]]] | None = None

    # ------------------------------------------------------------------------------------------- schedule

    def run(self, stop: Event) -> None:
        """Detects until `stop` is set; call `wake` after setting it for an end without delay."""
        self._stop = stop
        self._running, self._watching = True, self._config.image.watch
        try:
            self._say()
            while not stop.is_set():
                self.step()
                self._wait(stop)
        except _Stopped:
            pass
        finally:
            self._watcher.stop()
            if self._poller is not None:
                self._poller.stop()
            self._close_comparison()

    def once(self) -> State:
        """One complete look without watching, and its points; the state it came to."""
        self._full_scan()
        if self._comparison is not None and self._comparison.compares("user"):
            self._take_in_logins([self._logins.look(self._stop)])
        self._say()
        self._close_comparison()
        return self.current_state()

    def step(self) -> None:
        """Does whatever is due now."""
        if self._clock.monotonic() >= self._next_scan or self._seal_is_due():
            self._full_scan()
        self._look_at_dirty()
        if self._comparison is not None and self._clock.monotonic() >= self._next_runtime:
            self._look_at_runtime(self._comparison)
        if self._poller is not None:
            self._take_in_logins(self._poller.take())
        self._notice_watcher()
        if self._announcer.due_in() <= 0.0:
            self._say()

    def wake(self) -> None:
        """Ends a wait early: something is due, or `stop` was set."""
        self._wake.set()

    def _wait(self, stop: Event) -> None:
        waits = [self._next_scan - self._clock.monotonic(), self._announcer.due_in(), SLICE_SECONDS]
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
            observed = comparison.runtime()
        except DriftlineError as error:
            self._cannot_compare(error)
            return
        self._problem = ""
        self._scan, self._scan_at, self._scanned = result, self._clock.time_ns(), self._clock.monotonic()
        self._knowledge.take_in(_complete(result, observed), self._scan_at, settled=settled)
        self._next_runtime = self._clock.monotonic() + RUNTIME_SECONDS
        self._announcer.changed()
        self._watcher.scanned(began)

    def _on_progress(self) -> None:
        """A long scan neither holds the end up nor what there is to say."""
        if self._stop.is_set():
            raise _Stopped
        if self._announcer.due_in() <= 0.0:
            self._say()

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
        self._take_in(Look(result.changes, result.unreadable, result.scope.covers))
        if self._knowledge.is_empty and scan.observed != comparison.digest:
            # What is said to be clean must add up: `observed` is only as new as the last complete scan.
            self._full_scan()

    def _look_at_runtime(self, comparison: Comparison) -> None:
        self._next_runtime = self._clock.monotonic() + RUNTIME_SECONDS
        try:
            observed = comparison.runtime()
        except DriftlineError as error:
            self._cannot_compare(error)
            return
        self._take_in(Look(observed.changes, observed.unreadable, lambda kind, _: kind in KINDS))

    def _take_in_logins(self, answers: Iterable[tuple[list[Change], list[Unreadable]]]) -> None:
        for logins, unreadable in answers:
            self._take_in(Look([], unreadable, lambda kind, _: kind == LOGIN))
            if self._knowledge.take_in_logins(logins, self._clock.time_ns()):
                self._announcer.changed()

    def _take_in(self, look: Look) -> None:
        if self._knowledge.take_in(look, self._clock.time_ns()):
            self._announcer.changed()

    def _rescan_soon(self, last: CheckResult) -> None:
        """At once, unless it was just done: a tree that never rests must not keep a core busy."""
        pause = max(LEAST_PAUSE_SECONDS, PAUSE_FACTOR * last.seconds)
        self._next_scan = min(self._next_scan, max(self._clock.monotonic(), self._scanned + pause))

    def _seal_is_due(self) -> bool:
        return self._scan is not None and not self._knowledge.memory.sealed and self._settled()

    def _settled(self) -> bool:
        """Whether first boot is over, or was waited for long enough; looked at no more often than need be."""
        now = self._clock.monotonic()
        if not self._first_boot_over and now >= self._next_settled:
            self._next_settled = now + SETTLED_SECONDS
            waited = now - self._started >= self._config.image.settle
            self._first_boot_over = waited or first_boot.is_over(self._config.image.root)
        return self._first_boot_over

    def _opened(self) -> Comparison:
        """The manifest, opened anew: one that was replaced or removed must show.

        The first time the watcher starts with it: what changes while the first scan looks must not be missed.
        """
        self._close_comparison()
        self._comparison = self._open()
        self._digests = (self._comparison.digest, self._comparison.policy_digest)
        if self._watching and isinstance(self._watcher, NoWatcher):
            self._watcher = self._make_watcher(self._dirty, self._comparison.is_ignored)
            self._watcher.start()
        if self._running and self._poller is None and self._comparison.compares("user"):
            self._poller = Poller("logins", self._logins.look, LOGIN_SECONDS, self._clock, self.wake)
            self._poller.start()
        return self._comparison

    def _cannot_compare(self, error: DriftlineError) -> None:
        self._close_comparison()
        self._digests = ("", "")
        self._next_scan = self._clock.monotonic() + min(RETRY_SECONDS, self._config.image.scan_interval)
        if str(error) != self._problem:
            self._problem = str(error)
            self._log(f"state is unverified: {error}")
            self._announcer.changed()

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
        self._announcer.last_word(state, self._basis())

    def close(self) -> None:
        """Closes `state.db`; for after the last word."""
        self._knowledge.close()

    def _say(self) -> None:
        self._announcer.say(self.current_state(), self._basis())

    def _basis(self) -> Basis:
        scan = self._scan
        return Basis(
            manifest=self._digests[0],
            policy=self._digests[1],
            observed=scan.observed if scan else "",
            scanned=scan.scanned if scan else 0,
            scan_at=self._scan_at,
            scan_seconds=scan.seconds if scan else 0.0,
            degraded=bool(self._watch_problem),
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
        self._announcer.changed()


def _complete(result: CheckResult, observed: Observation) -> Look:
    """A scan and what runs, as one look: what stands at the seal is sealed together."""
    return Look(
        [*result.changes, *observed.changes],
        [*result.unreadable, *observed.unreadable],
        lambda kind, key: kind != LOGIN and result.scope.covers(kind, key),
    )
