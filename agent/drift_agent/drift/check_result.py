"""What a check found, and what it looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drift_agent.image.paths import is_within
from drift_agent.model import Change, ChangeKind, Key, Unreadable


@dataclass(frozen=True, slots=True)
class Scope:
    """What a check looked at: single keys, folders with everything below, whole kinds; or simply everything.

    Not the content of the files `postponed`, wherever they stand.
    """

    keys: frozenset[Key] = frozenset()
    trees: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    everything: bool = True
    postponed: frozenset[str] = frozenset()

    def covers(self, kind: str, key: str) -> bool:
        """Whether the check would have found a change of this item."""
        if kind == "file" and key in self.postponed:
            return False
        if self.everything or kind in self.kinds or (kind, key) in self.keys:
            return True
        return kind == "file" and any(is_within(key, tree) for tree in self.trees)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    `changes` are in manifest order and of every class: the caller decides what a sealed one means. `omitted` counts
    what was found beyond the most that are kept, by kind of change; `overfull` says that of the sealed ones, which are
    never drift by their number alone, more were found than are kept. `scanned` counts items, `seconds` is the duration.
    `observed` is the digest over what was seen of the frozen and structural items (empty where not everything was
    looked at); on a clean tree it equals the header's. `not_applicable` are kinds without a meaning here. Not
    `complete` is a look at some paths that ran out of time.
    """

    changes: list[Change]
    scanned: int
    unreadable: list[Unreadable]
    not_applicable: list[str]
    observed: str
    seconds: float
    scope: Scope = field(default_factory=Scope)
    omitted: Mapping[ChangeKind, int] = field(default_factory=dict)
    complete: bool = True
    overfull: bool = False

    @property
    def differs(self) -> bool:
        """Whether anything but the sealed class differs."""
        return bool(self.omitted) or any(change.path_class != "sealed" for change in self.changes)

    def coverage(self) -> Callable[[str, str], bool]:
        """Tells whether a change of an item (kind, key) would stand in `changes`.

        Where more was found than is kept, only what stands there is known: any other item may be among the rest.
        """
        if not self.omitted and not self.overfull:
            return self.scope.covers
        kept = {(change.kind, change.key) for change in self.changes}
        return lambda kind, key: (kind, key) in kept

    def belies(self, digest: str) -> bool:
        """Whether a manifest whose header says `digest` holds other items than that, as a complete look can tell.

        Its items equal what was seen and the digests differ, or the other way round: it was damaged, or edited.
        """
        hidden = any(change.kind == "mount" for change in self.changes)
        if self.unreadable or self.omitted or hidden or not self.observed:
            return False  # it cannot tell: what was not seen is in no digest
        return self.differs == (self.observed == digest)
