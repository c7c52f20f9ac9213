"""Says what is known: the reporter decides when, this puts it on the disk and hands the points on."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock

from drift_agent import __version__
from drift_agent.clock import Clock
from drift_agent.config import Config
from drift_agent.drift.knowledge import Knowledge
from drift_agent.drift.points import Summary
from drift_agent.drift.reporter import Emit, Reporter
from drift_agent.identity import Identity
from drift_agent.model import State


@dataclass(frozen=True, slots=True)
class Basis:
    """What a statement rests on: the manifest, and the last complete scan. Empty where there is none yet."""

    manifest: str = ""
    policy: str = ""
    observed: str = ""
    scanned: int = 0
    scan_at: int = 0
    scan_seconds: float = 0.0
    degraded: bool = False


class Announcer:
    """`say` belongs to the detector's thread; `last_word` may come from another, and ends all that is said."""

    def __init__(
        self,
        config: Config,
        identity: Identity,
        knowledge: Knowledge,
        clock: Clock,
        emit: Emit,
        clock_offset: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._config = config
        self._identity = identity
        self._knowledge = knowledge
        self._emit = emit
        self._clock_offset = clock_offset
        self._reporter = Reporter(identity.instance, config.agent.report_interval, clock)
        self._lock = RLock()
        self._silent = False

    def changed(self) -> None:
        """The items, or the state, are no longer what was last said."""
        self._reporter.changed()

    def due_in(self) -> float:
        """Seconds until something should be said; 0.0: now."""
        return self._reporter.due_in()

    def say(self, state: State, basis: Basis) -> None:
        """Says it, with the set of items where one is due; what was said is on the disk before it leaves."""
        with self._lock:
            if self._silent:
                return
            known = self._knowledge
            omitted = sum(known.omitted.values())
            statement = self._reporter.statement(self._summary(state, basis), known.changes(), known.memory, omitted)
            known.write(statement.memory)
            self._emit(statement.points)

    def last_word(self, state: State, basis: Basis) -> None:
        """Says `stopped` or `terminated`; nothing is said after it."""
        with self._lock:
            self.say(state, basis)
            self._silent = True

    def _summary(self, state: State, basis: Basis) -> Summary:
        known = self._knowledge
        return Summary(
            state=state,
            manifest=basis.manifest,
            observed=basis.observed,
            policy=basis.policy,
            agent_version=__version__,
            boot_id=self._identity.boot_id,
            added=known.count("added"),
            removed=known.count("removed"),
            modified=known.count("modified"),
            reverted=len(known.ledger.reverted),
            logins=len(known.logins),
            unreadable=len(known.unreadable),
            scanned=basis.scanned,
            scan_at=basis.scan_at,
            interval=max(1, round(self._config.agent.report_interval)),
            scan_interval=max(1, round(self._config.image.scan_interval)),
            degraded=basis.degraded,
            scan_seconds=basis.scan_seconds,
            clock_offset=self._clock_offset(),
        )
