"""Fleet sense: the same item on at least half of an image's instances is a gap of the bake, not many intruders.

Pure but for the one function that it is given to read a set of items.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from drift_agent.schema import REST_KIND
from drift_collector.fleet.model import Fleet, Reason, Systemic, Verdict
from drift_collector.store.base import DriftItem, DriftReport

ReadItems: TypeAlias = Callable[[DriftReport], Sequence[DriftItem]]
ItemKey: TypeAlias = tuple[str, str, str]
"""Kind, key and change: what makes two items of different instances the same."""

MAX_SETS: Final = 500
"""Item sets read of one image; of more, as many are taken evenly, and the share is an estimate that says so."""


def with_systemic(fleet: Fleet, read_items: ReadItems) -> Fleet:
    """The same fleet with its systemic items, and a note at each instance that has some.

    One instance is no half of anything: an item must be on two instances at least. States stay as they are. Items
    are read only of images of which at least half of the instances announce any.
    """
    by_image: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in fleet.verdicts:
        if verdict.state != "silent":
            by_image[verdict.image].append(verdict)
    found: list[Systemic] = []
    notes: dict[str, tuple[Reason, ...]] = {}
    for image in sorted(by_image):
        verdicts = by_image[image]
        announcing = [verdict for verdict in verdicts if verdict.evidence is not None and verdict.announced]
        if len(announcing) >= 2 and 2 * len(announcing) >= len(verdicts):
            sets = _read(announcing, read_items)
            systemic = _systemic(image, sets.values(), len(announcing), len(verdicts))
            found += systemic
            notes.update(_notes({(item.kind, item.key, item.change) for item in systemic}, sets))
    if not notes:
        return fleet
    verdicts_with_notes = tuple(
        replace(verdict, reasons=verdict.reasons + notes[verdict.instance]) if verdict.instance in notes else verdict
        for verdict in fleet.verdicts
    )
    return replace(fleet, verdicts=verdicts_with_notes, systemic=tuple(found))


def with_missing(verdict: Verdict, items: Sequence[DriftItem]) -> Verdict:
    """The same verdict, with a note where fewer items are held than announced: sets come in parts, and may be lost."""
    held = sum(_stands_for(item) for item in items)
    if held >= verdict.announced:
        return verdict
    note = Reason("items-missing", f"{held} of {verdict.announced} announced items are in the store")
    return replace(verdict, reasons=(*verdict.reasons, note))


def _stands_for(item: DriftItem) -> int:
    """How many items this one is: the last one of a large set counts those that the agent did not send."""
    count = item.actual.get("count")
    return count if item.kind == REST_KIND and type(count) is int else 1


def _read(announcing: Sequence[Verdict], read_items: ReadItems) -> dict[str, set[ItemKey]]:
    ordered = sorted(announcing, key=lambda verdict: verdict.instance)
    count = min(MAX_SETS, len(ordered))
    chosen = [ordered[index * len(ordered) // count] for index in range(count)]
    return {
        verdict.instance: {
            (item.kind, item.key, item.change) for item in read_items(verdict.evidence) if item.kind != REST_KIND
        }
        for verdict in chosen
        if verdict.evidence is not None
    }


def _systemic(image: str, sets: Iterable[set[ItemKey]], announcing: int, instances: int) -> list[Systemic]:
    read = list(sets)
    carriers = Counter(key for items in read for key in items)
    found = []
    for (kind, key, change), carried in sorted(carriers.items()):
        estimate = carried * announcing // len(read)
        if carried >= 2 and 2 * estimate >= instances:
            found.append(Systemic(image, kind, key, change, estimate, instances, sampled=len(read) < announcing))
    return found


def _notes(systemic: set[ItemKey], sets: dict[str, set[ItemKey]]) -> dict[str, tuple[Reason, ...]]:
    notes: dict[str, tuple[Reason, ...]] = {}
    for instance, items in sets.items():
        if shared := len(items & systemic):
            which = "all its items are" if shared == len(items) else f"{shared} of its {len(items)} items are"
            notes[instance] = (Reason("systemic", f"{which} on at least half of its image's instances: SYSTEMIC"),)
    return notes
