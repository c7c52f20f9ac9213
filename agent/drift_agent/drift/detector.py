"""The detector: looks at the machine, remembers, and says what it found. One thread; decides when, never how.

A complete scan at the start and every `scan_interval`; between them only the paths that a watcher hints at. What was
found is taken in (`knowledge`), written to `state.db`, and only then leaves (`announcer`).
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from threading import Event
from typing import Final

from drift_agent.clock import Clock
from drift_agent.config import ImageOptions
from drift_agent.drift.announcer import Announcer, Basis
from drift_agent.drift.comparison import Comparison
from drift_agent.drift.dirty import Dirty
from drift_agent.drift.first_boot import FirstBoot
from drift_agent.drift.hints import Hints
from drift_agent.drift.knowledge import Knowledge, Look
from drift_agent.drift.login_records import LOGIN
from drift_agent.drift.login_watch import LoginWatch
from drift_agent.drift.logins import LoginAnswer
from drift_agent.drift.runtime import KINDS
from drift_agent.drift.scanner import Scanner, idle_thread
from drift_agent.drift.schedule import Schedule
from drift_agent.drift.watch import WATCHED, MakeWatcher, watcher_of
from drift_agent.drift.word import Word
from drift_agent.errors import DriftlineError
from drift_agent.model import State

SLICE_SECONDS: Final = 0.5
"""Longest wait between two looks at `stop`, for a caller that sets it without `wake`."""


class Detector:
    """See the module. `run` belongs to one thread; `wake`, `status` and `last_word` may be called from any."""

    def __init__(
        self,
        options: ImageOptions,
        open_comparison: Callable[[], Comparison],
        knowledge: Knowledge,
        announcer: Announcer,
        clock: Clock,
        log: Callable[[str], None],
        *,
        inform: Callable[[str], None] = lambda _: None,
        make_watcher: MakeWatcher | None = None,
        executor: Executor | None = None,
    ) -> None:
        """`open_comparison` raises a DriftlineError where there is no manifest. `knowledge` is closed by `close`.

        `announcer` says what `knowledge` holds. `log` is told of trouble, and `inform` of what goes as it should.
        `executor` runs the scans (`idle_thread`).
        """
        self._options = options
        self._open = open_comparison
        self._knowledge = knowledge
        self._announcer = announcer
        self._clock = clock
        self._log = log
        self._wake = Event()
        wake = self._wake.set
        pace = options.files_per_second, options.bytes_per_second
        self._word = Word(knowledge)
        self._hints = Hints(make_watcher or watcher_of(options.root), clock, wake, log, inform)
        self._scanner = Scanner(open_comparison, executor or idle_thread(), clock, wake, *pace)
        self._logins = LoginWatch(options, clock, knowledge.memory.first_boot, wake)
        self._first_boot = FirstBoot(options.root, options.settle, clock, over=bool(knowledge.memory.sealed))
        self._schedule = Schedule(options, clock.monotonic())
        self._comparison: Comparison | None = None
        self._running = False
        """Whether `run` was called, so that there is something to watch with, and to wait for."""
        self._settled_before = False
        """Whether first boot was over when the scan began: only what such a scan saw may be sealed."""
        self._touched = Dirty()
        """What was hinted at while the scan runs."""

    # ------------------------------------------------------------------------------------------- schedule

    def run(self, stop: Event) -> None:
        """Detects until `stop` is set; call `wake` after setting it for an end without delay."""
        self._running = True
        try:
            self._say()
            while not stop.is_set():
                self.step()
                self._wait(stop)
        finally:
            self._hints.stop()
            self._scanner.stop()
            self._logins.stop()
            self._close_comparison()

    def once(self) -> State:
        """One complete look without watching, and its points; the state it came to."""
        self._scanner.begin(rehash=True)
        while self._scanner.busy:
            self._clock.wait(self._wake, SLICE_SECONDS)
            self._take_scan()
        if self._comparison is not None and self._comparison.compares("user"):
            self._take_in_logins([self._logins.once()])
        self._say()
        self._scanner.stop()
        self._close_comparison()
        return self.current_state()

    def step(self) -> None:
        """Does whatever is due now."""
        if not self._scanner.busy and (self._schedule.scan_in(self._now()) <= 0.0 or self._seal_is_due()):
            self._begin_scan()
        self._take_scan()
        self._look_at_hints()
        if self._comparison is not None and self._schedule.runtime_is_due(self._now()):
            self._look_at_runtime(self._comparison)
        self._take_in_logins(self._logins.take())
        if self._hints.notice():
            self._announcer.changed()
        if self._announcer.due_in() <= 0.0:
            self._say()

    def wake(self) -> None:
        """Ends a wait early: something is due, or `stop` was set."""
        self._wake.set()

    def _now(self) -> float:
        return self._clock.monotonic()

    def _wait(self, stop: Event) -> None:
        waits = [SLICE_SECONDS, self._announcer.due_in()]
        if not self._scanner.busy:
            waits.append(self._schedule.scan_in(self._now()))
        ripe = self._hints.ripe_in()
        if ripe is not None and self._comparison is not None:
            waits.append(ripe)
        if min(waits) > 0.0 and not stop.is_set():
            self._clock.wait(self._wake, min(waits))
        self._wake.clear()

    # ------------------------------------------------------------------------------------------- scanning

    def _begin_scan(self) -> None:
        rehash = self._schedule.scan_begins(self._now())
        self._settled_before = self._first_boot.is_over()
        self._touched = Dirty()
        if self._running and self._comparison is None:
            try:
                self._use(self._open())
            except DriftlineError as error:
                self._cannot_compare(error)
                return
        self._scanner.begin(rehash=rehash)

    def _take_scan(self) -> None:
        try:
            scanned = self._scanner.take()
        except DriftlineError as error:
            self._cannot_compare(error)  # what changes meanwhile is still looked at, by what was believed before
            return
        if scanned is None:
            return
        self._use(scanned.comparison)
        now = self._clock.time_ns()
        look = scanned.look()
        # What the seal does not hold is drift when it is seen: what cannot be read now may only be late.
        settled = self._settled_before and (not look.unreadable or self._first_boot.is_late())
        self._knowledge.take_in(look, now, settled=settled)
        self._knowledge.note(scanned.shared if self._knowledge.memory.sealed else [], now)
        self._word.scanned(scanned.result, now)
        self._schedule.scan_ended(self._now(), scanned.result.seconds)
        self._announcer.changed()
        self._hints.scanned(scanned.began)
        # What was hinted at while the scan ran may have been passed by it before it changed.
        self._look_at(scanned.comparison, self._touched)
        if self._touched.everything:
            self._schedule.rescan(self._now())

    def _use(self, comparison: Comparison) -> None:
        self._close_comparison()
        self._comparison = comparison
        self._word.compares_with(comparison)
        if not self._running:
            return
        # Before the first scan begins: what changes while it looks must not be missed.
        if self._options.watch and not self._hints.begun:
            self._hints.begin(comparison.is_ignored)
        if comparison.compares("user"):
            self._logins.begin()

    def _cannot_look(self, error: DriftlineError) -> None:
        """The manifest that is open cannot be believed any more."""
        self._close_comparison()
        self._cannot_compare(error)

    def _cannot_compare(self, error: DriftlineError) -> None:
        """There is no manifest that could be opened, or the scan with it failed; the one before stays in use."""
        self._schedule.scan_failed(self._now())
        if self._word.cannot_compare(str(error)):
            self._log(f"state is unverified: {error}")
            self._announcer.changed()

    def _close_comparison(self) -> None:
        if self._comparison is not None:
            self._comparison.close()
            self._comparison = None

    def _seal_is_due(self) -> bool:
        """Whether it is time for the scan that seals. After one that could not the next waits."""
        if not self._word.has_scanned or self._knowledge.memory.sealed or not self._first_boot.is_over():
            return False
        return not self._settled_before or self._schedule.has_rested(self._now())

    # ------------------------------------------------------------------------------------- between the scans

    def _look_at_hints(self) -> None:
        comparison = self._comparison
        if self._hints.ripe_in() != 0.0 or comparison is None:
            return
        dirty = self._hints.take()
        if dirty.everything:
            self._schedule.rescan(self._now())
            return
        if self._scanner.busy:
            self._touched = self._touched.joined(dirty)
        self._look_at(comparison, dirty)

    def _look_at(self, comparison: Comparison, dirty: Dirty) -> None:
        if not dirty.paths and not dirty.trees:
            return
        try:
            result = comparison.paths(dirty.paths, dirty.trees)
        except DriftlineError as error:
            self._cannot_look(error)
            return
        self._take_in(Look(result.changes, result.unreadable, result.coverage()))
        is_open = self._knowledge.ledger.open
        if not result.complete or result.omitted or any(("file", key) not in is_open for key in result.scope.postponed):
            self._schedule.rescan(self._now())  # large contents are read there, where nobody waits for them
        if self._word.must_be_confirmed(comparison):
            self._schedule.rescan(self._now())

    def _look_at_runtime(self, comparison: Comparison) -> None:
        self._schedule.looked_at_runtime(self._now())
        try:
            observed = comparison.runtime()
        except DriftlineError as error:
            self._cannot_look(error)
            return
        self._take_in(Look(observed.changes, observed.unreadable, lambda kind, _: kind in KINDS))

    def _take_in_logins(self, answers: Iterable[LoginAnswer]) -> None:
        for logins, unreadable in answers:
            self._take_in(Look([], unreadable, lambda kind, _: kind == LOGIN))
            if self._knowledge.take_in_logins(logins, self._clock.time_ns()):
                self._announcer.changed()

    def _take_in(self, look: Look) -> None:
        if self._knowledge.take_in(look, self._clock.time_ns()):
            self._announcer.changed()

    # --------------------------------------------------------------------------------------------- saying

    def status(self) -> dict[str, object]:
        """What `drift-agent status` shows of the detector, as JSON values. Times are Unix ns."""
        watched = list(WATCHED) if self._hints.begun else []
        return {**self._word.status(), "watched": watched, "degraded": self._hints.problem}

    def current_state(self) -> State:
        """The agent's own word for what it knows now."""
        return self._word.state()

    def last_word(self, state: State) -> None:
        """Says `stopped` or `terminated`; nothing is said after it."""
        self._announcer.last_word(state, self._basis())

    def close(self) -> None:
        """Closes `state.db`; for after the last word."""
        self._knowledge.close()

    def _say(self) -> None:
        self._announcer.say(self._word.state(), self._basis())

    def _basis(self) -> Basis:
        return self._word.basis(degraded=bool(self._hints.problem))
