"""How what is seen differs from a manifest. Pure: two ordered streams in, changes and a digest out.

Both streams stand in the order of `canonical.order`, and equal items have equal lines: where the lines are equal
nothing is parsed. The digest covers what the manifest's digest covers, so that a clean tree gives the header's.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from drift_agent.drift.expected import Expected, Place
from drift_agent.image.canonical import UNREADABLE, decode, difference, encode, key_order, order
from drift_agent.image.entry import Entry
from drift_agent.image.facts import Gathered
from drift_agent.image.policy import Decision, Policy
from drift_agent.image.recall import Run
from drift_agent.image.semantics import SEMANTICS
from drift_agent.model import Attributes, Change, ChangeKind, Item, Unreadable

MAX_CHANGES: Final = 100_000
"""Changes beyond it are counted, not kept: a tree that was filled on purpose must not fill the memory too. The sealed
class has as many for itself: what differs per instance hides nothing else, and is no drift by its number."""

_TOO_MANY_SEALED: Final = Unreadable(
    "seal", "/", f"more than {MAX_CHANGES:,} sealed items differ from the image: ignore the folders that hold so many"
)

_BATCH: Final = 512
_NOTHING: Final[Attributes] = {}


class Comparer:
    """Collects the differences between what is expected and what is seen; kinds must come in their order."""

    def __init__(self, policy: Policy) -> None:
        self.changes: list[Change] = []
        self.unreadable: list[Unreadable] = []
        self.omitted: Counter[ChangeKind] = Counter()
        """How many that are not sealed there are beyond `MAX_CHANGES`."""
        self.postponed: set[str] = set()
        """Files of which it is not known whether their content differs; one that nobody expected differs anyway."""
        self.scanned = 0
        """Items that were looked at."""
        self._policy = policy
        self._total = hashlib.sha256()
        self._batch: list[bytes] = []
        self._passed_over = ""
        """What paths begin with that stand below something that the bake could not read: nobody compares them."""
        self._hidden = ""
        """What paths begin with that stand below a folder that could not be looked into: none of them is gone."""
        self._sealed = 0
        """How many sealed differences there are, those that are not kept too."""

    @property
    def overfull(self) -> bool:
        """Whether there are more sealed differences than are kept."""
        return self._sealed > MAX_CHANGES

    def digest(self) -> str:
        """Digest over what was seen of the frozen and structural items."""
        self._flush()
        return f"{SEMANTICS}:sha256:{self._total.hexdigest()}"

    def files(self, expected: Expected, observed: Iterable[Entry | Run]) -> Iterator[None]:
        """Compares the files of one part of the tree, a step for each entry that was seen.

        Leaves `expected` behind the last file of that part; whatever files it still holds then are gone.

        Raises:
            ManifestError: an expected line is no item, or out of order.
        """
        for event in observed:
            if isinstance(event, Run):
                if expected.pass_run(event.lines, event.count):
                    self.scanned += event.count
                    self._flush()
                    self._total.update(event.lines)
                else:
                    for entry in event.entries(self._policy):
                        self._file(expected, entry)
            else:
                self._file(expected, event)
            yield
        self._removed_before(expected, ("file\0", b""))

    def facts(self, kind: str, expected: Expected, observed: Gathered | None) -> None:
        """Compares the items of one kind that is no file; None stands for a kind without a meaning in this tree.

        Leaves `expected` behind the last item of that kind.

        Raises:
            ManifestError: as `files`.
        """
        baked = {}
        while expected.line and expected.place()[0] == kind:
            item = expected.take()
            baked[item.key] = item.attributes
        if observed is None:
            if baked:
                self.unreadable.append(Unreadable(kind, "", "what the image had of it is not there any more"))
            return
        recorded = any(attributes.get(UNREADABLE) for attributes in baked.values())
        if not recorded:
            self.unreadable += [Unreadable(kind, key, error) for key, error in observed.unreadable.items()]
        incomplete = recorded or bool(observed.unreadable)
        seen = {item.key: item.attributes for item in observed.items}
        self.scanned += len(seen)
        for key in sorted(baked.keys() | seen.keys(), key=key_order):
            self._fact(kind, key, baked.get(key), seen.get(key), incomplete=incomplete)

    def _fact(self, kind: str, key: str, was: Attributes | None, now: Attributes | None, *, incomplete: bool) -> None:
        decision = self._policy.decide(key, kind)
        if decision.path_class == "ignored":
            return
        if was is None or now is None:
            self._add("added" if was is None else "removed", kind, key, decision, was or _NOTHING, now or _NOTHING)
            if now is not None:
                self._see(encode(Item(kind, key, now)), decision)
            return
        wanted, actual = was, now
        if incomplete:
            wanted, actual = _of_both(was, now)
        differs, is_now = difference(wanted, actual)
        if differs or is_now:
            self._add("modified", kind, key, decision, differs, is_now)
        recorded = was.get(UNREADABLE) and not differs and not is_now
        self._see(encode(Item(kind, key, was if recorded else now)), decision)

    # ------------------------------------------------------------------------------------------- one by one

    def _file(self, expected: Expected, entry: Entry) -> None:
        if entry.late and not entry.hidden_below:
            return  # what was expected below is not seen any more, and gone
        self.scanned += 1
        if entry.line == expected.line and not entry.error and not entry.hidden_below:
            expected.pass_file(entry.key)
            self._see(entry.line, entry.decision)
        else:
            self._differing(expected, entry)

    def _differing(self, expected: Expected, entry: Entry) -> None:
        if self._passed_over and entry.key.startswith(self._passed_over):
            return
        place = order("file", entry.key)
        self._removed_before(expected, place)
        if self._passed_over and entry.key.startswith(self._passed_over):
            return
        if entry.error and not entry.line:
            self._unseen(expected, entry, place)
        elif expected.line and expected.place() == place:
            line = expected.line
            self._compared(entry, expected.take(), line)
        else:
            self._see(entry.line, entry.decision)
            self._cannot_read(entry)
            if entry.postponed and entry.decision.path_class == "sealed":  # the seal may know it, with its digest
                self.postponed.add(entry.key)
                return
            self._add("added", "file", entry.key, entry.decision, _NOTHING, decode(entry.line).attributes)
        if entry.hidden_below:
            self._hidden = _below(entry.key)

    def _compared(self, entry: Entry, item: Item, line: bytes) -> None:
        """Something stands there, and something is expected there."""
        actual = decode(entry.line).attributes
        recorded_unreadable = bool(item.attributes.get(UNREADABLE))
        wanted = item.attributes
        if entry.postponed and not recorded_unreadable:
            self.postponed.add(entry.key)
            if entry.decision.path_class == "sealed":  # what of it the seal differs in is not known
                return
            wanted = {name: value for name, value in wanted.items() if name != "sha256"}
        if recorded_unreadable or entry.error:
            wanted, actual = _of_both(wanted, actual)
        if recorded_unreadable:
            self._passed_over = _below(entry.key)
        else:
            self._cannot_read(entry)
        differs, is_now = difference(wanted, actual)
        if differs or is_now:
            self._add("modified", "file", entry.key, entry.decision, differs, is_now)
        self._see(line if recorded_unreadable and not differs and not is_now else entry.line, entry.decision)

    def _unseen(self, expected: Expected, entry: Entry, place: Place) -> None:
        """Not even a stat of it was possible."""
        if expected.line and expected.place() == place:
            line = expected.line
            if expected.take().attributes.get(UNREADABLE):
                self._see(line, entry.decision)
                return
        self._cannot_read(entry)

    def _removed_before(self, expected: Expected, end: Place) -> None:
        """Everything that is expected before `end` and was not seen is gone, unless it is hidden."""
        while expected.line and expected.place() < end:
            line = expected.line
            item = expected.take()
            if self._hidden and item.key.startswith(self._hidden):
                continue
            decision = self._policy.decide(item.key)
            if decision.path_class == "ignored":
                if item.attributes.get(UNREADABLE):
                    self._see(line, decision)
                    self._passed_over = _below(item.key)
                continue
            self._add("removed", "file", item.key, decision, item.attributes, _NOTHING)

    def _cannot_read(self, entry: Entry) -> None:
        if entry.error:
            self.unreadable.append(Unreadable("file", entry.key, entry.error))

    def _add(
        self,
        change: ChangeKind,
        kind: str,
        key: str,
        decision: Decision,
        expected: Attributes,
        actual: Attributes,
    ) -> None:
        if decision.path_class == "sealed":
            self._sealed += 1
            if self.overfull:
                self.unreadable += [_TOO_MANY_SEALED] if self._sealed == MAX_CHANGES + 1 else []
                return
        elif len(self.changes) - min(self._sealed, MAX_CHANGES) >= MAX_CHANGES:
            self.omitted[change] += 1
            return
        self.changes.append(Change(kind, key, change, decision.path_class, decision.severity, expected, actual))

    def _see(self, line: bytes, decision: Decision) -> None:
        if decision.path_class != "sealed":
            self._batch.append(line)
            if len(self._batch) >= _BATCH:
                self._flush()

    def _flush(self) -> None:
        if self._batch:
            self._total.update(b"".join(self._batch))
            self._batch.clear()


def _of_both(was: Attributes, now: Attributes) -> tuple[Attributes, Attributes]:
    """The attributes that both have: what only one of them has could not be read of the other."""
    return (
        {name: value for name, value in was.items() if name in now},
        {name: value for name, value in now.items() if name in was},
    )


def _below(key: str) -> str:
    """What every path below the folder `key` begins with."""
    return key if key == "/" else f"{key}/"
