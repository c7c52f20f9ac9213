"""What the detector may say of what is known: the state, and what it rests on.

Two things bound it: whether there is a manifest to compare with, and what the last complete scan saw. Hints and what
runs change what is known; the digest of what was seen is only as new as that scan.
"""

from dataclasses import replace

from drift_agent.drift.announcer import Basis
from drift_agent.drift.check_result import CheckResult
from drift_agent.drift.comparison import Comparison
from drift_agent.drift.knowledge import Knowledge
from drift_agent.model import State


class Word:
    """Changed by the detector's thread alone; `state` and `status` may be asked from any."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._digests = ("", "")
        self._problem = ""
        self._scan: CheckResult | None = None
        self._scan_at = 0
        self._unconfirmed = False
        """Whether all that differed at the last scan is put right, as hints tell, and no scan has seen it yet."""

    @property
    def has_scanned(self) -> bool:
        """Whether any scan was complete."""
        return self._scan is not None

    def compares_with(self, comparison: Comparison) -> None:
        """There is a manifest: this one."""
        self._digests = (comparison.digest, comparison.policy_digest)

    def cannot_compare(self, problem: str) -> bool:
        """There is none that can be believed, or no root; whether that is news."""
        self._digests, self._unconfirmed = ("", ""), False
        before, self._problem = self._problem, problem
        return before != problem

    def scanned(self, result: CheckResult, at: int) -> None:
        """A scan is complete (`at`, Unix ns), and what it found is known."""
        self._scan = replace(result, changes=[], unreadable=[])
        self._scan_at = at
        self._problem, self._unconfirmed = "", False

    def must_be_confirmed(self, comparison: Comparison) -> bool:
        """Whether nothing is listed any more and the last scan saw another tree than the image's: a scan must tell.

        Until it has, nobody says that the instance is as its image.
        """
        if self._scan is None or self._knowledge.differs or self._scan.observed == comparison.digest:
            return False
        self._unconfirmed = True
        return True

    def state(self) -> State:
        """The agent's own word for what it knows now."""
        if self._scan is None:
            return "unverified" if self._problem else "pending"
        if self._knowledge.differs:
            return "drifted"
        if self._knowledge.logins:
            return "tainted"
        if self._problem or self._knowledge.unreadable:
            return "unverified"
        return "pending" if self._unconfirmed else "clean"

    def basis(self, *, degraded: bool) -> Basis:
        """What a statement rests on now."""
        scan = self._scan
        outdated = self._unconfirmed and not self._knowledge.differs
        return Basis(
            manifest=self._digests[0],
            policy=self._digests[1],
            observed=scan.observed if scan and not outdated else "",
            scanned=scan.scanned if scan else 0,
            scan_at=self._scan_at,
            scan_seconds=scan.seconds if scan else 0.0,
            degraded=degraded,
        )

    def status(self) -> dict[str, object]:
        """What `drift-agent status` shows of it, as JSON values. Times are Unix ns."""
        known = self._knowledge
        return {
            "state": self.state(),
            "problem": self._problem,
            "outstanding": len(known.ledger.open),
            "reverted": len(known.ledger.reverted),
            "unreadable": [f"{one.kind} {one.key}: {one.error}" for one in [*known.unreadable.values()][:20]],
            "scan_at": self._scan_at,
            "scan_seconds": self._scan.seconds if self._scan else 0.0,
            "sealed": known.memory.sealed,
        }
