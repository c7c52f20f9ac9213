"""What is said of a fleet: states, reasons, verdicts. Values alone; `verdict.judge` makes them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from drift_agent.errors import EXIT_HOLD, EXIT_OK, EXIT_RECYCLE
from drift_collector.store.base import DriftReport

VerdictState: TypeAlias = Literal[
    "drifted", "tainted", "unverified", "outdated", "expired", "stale", "silent", "clean"
]  # fmt: skip

STATES: Final[tuple[VerdictState, ...]] = (
    "drifted", "tainted", "unverified", "outdated", "expired", "stale", "silent", "clean",
)  # fmt: skip
"""Worst first: where several reasons hold, the first of them in this order leads; tables are sorted by it."""

RECYCLED: Final[frozenset[VerdictState]] = frozenset({"drifted", "tainted", "outdated", "expired"})
HELD: Final[frozenset[VerdictState]] = frozenset({"unverified", "stale", "silent"})
NOT_FRESH: Final = frozenset({"stale", "stopped", "terminated", "clock", "silent"})
"""Codes of the reasons for which a report is no present evidence."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an instance is in its state. `state` is what it speaks for; None where it is a note and changes nothing."""

    code: str
    text: str
    state: VerdictState | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One instance. Times are Unix ns, None where nobody knows; `since` is when its own agent's state began."""

    instance: str
    state: VerdictState
    host: str = ""
    image: str = ""
    group: str = ""
    reasons: tuple[Reason, ...] = ()
    added: int = 0
    removed: int = 0
    modified: int = 0
    reverted: int = 0
    logins: int = 0
    since: int | None = None
    last_seen: int | None = None
    evidence: DriftReport | None = None
    """The report behind it, by which its items are found; not kept of clean ones."""

    @property
    def announced(self) -> int:
        """How many outstanding items its agent announced, logins among them."""
        return self.added + self.removed + self.modified + self.reverted + self.logins


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the fleet spoke just now. `expected` is the inventory's count, else that of the instances known."""

    expected: int
    fresh: int

    @property
    def ratio(self) -> float:
        """From 0 to 1; 0 where nothing is expected and nothing came."""
        return min(1.0, self.fresh / self.expected) if self.expected else float(self.fresh > 0)


@dataclass(frozen=True, slots=True)
class Systemic:
    """An item on at least half of an image's instances: a gap of the bake. `sampled` where not all sets were read."""

    image: str
    kind: str
    key: str
    change: str
    instances: int
    of: int
    sampled: bool = False


@dataclass(frozen=True, slots=True)
class Trusted:
    """What the trusted manifest of one image says, from its header.

    `signature` is empty where no key was given to check it by. `volatile_state`: the image keeps the agent's state
    folder on a mount that does not outlive a boot.
    """

    image: str
    digest: str
    policy: str
    signature: Literal["", "good", "missing", "bad"] = ""
    volatile_state: bool = False

    @property
    def usable(self) -> bool:
        """Whether it may be compared with."""
        return self.signature in ("", "good")


@dataclass(frozen=True, slots=True)
class Fleet:
    """All verdicts, worst first; `terminated` counts the instances whose machine said that it ends."""

    verdicts: tuple[Verdict, ...]
    coverage: Coverage
    terminated: int = 0
    trusted_images: int | None = None
    """How many trusted manifests were at hand; None where the agents' own word counts."""
    signatures_checked: bool = False
    systemic: tuple[Systemic, ...] = ()

    def summary(self) -> Mapping[VerdictState, int]:
        """A count for every state, worst first."""
        counts = Counter(verdict.state for verdict in self.verdicts)
        return {state: counts[state] for state in STATES}

    def exit_code(self, floor: float = 1.0) -> int:
        """2 where anything is recycled; 3 where anything is held, coverage is below `floor`, or nothing was found."""
        present = {verdict.state for verdict in self.verdicts}
        if present & RECYCLED:
            return EXIT_RECYCLE
        if not present or present & HELD or self.coverage.ratio < floor:
            return EXIT_HOLD
        return EXIT_OK
