"""Signs that an agent's memory was wiped, told from the seals that were seen of it. Pure.

An honest instance has one seal for its life: one time, one digest. A second one means that its state was lost,
replaced or copied. The reports of a fleet do not arrive in order (newest first, backfill behind), so nothing here
looks at the order of arrival: only at which seals there are, and under which boots they were seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from drift_collector.store.base import Reset


@dataclass(frozen=True, slots=True)
class SealSeen:
    """One seal under one boot: `first` is the earliest time (Unix ns) of a point that named it so."""

    sealed: int
    seal: str
    boot_id: str
    first: int


@dataclass(frozen=True, slots=True)
class Twice:
    """A `seq` that came with two different times, both Unix ns."""

    sealed: int
    seq: int
    time: int
    again: int


def resets_of(seals: Iterable[SealSeen], twice: Iterable[Twice] = ()) -> tuple[Reset, ...]:
    """The signs in what was seen of one instance, by time. Points before a seal (`sealed` = 0) do not count."""
    boots: dict[tuple[int, str], set[str]] = {}
    first: dict[tuple[int, str], int] = {}
    for seen in seals:
        if seen.sealed <= 0:
            continue
        key = (seen.sealed, seen.seal)
        boots.setdefault(key, set()).add(seen.boot_id)
        first[key] = min(seen.first, first.get(key, seen.first))
    found = [
        Reset(
            "seq",
            f"{each.seq} at {each.time}",
            f"{each.seq} at {each.again}",
            max(each.time, each.again),
            new_boot=False,
        )
        for each in twice
    ]
    ordered = sorted(boots, key=lambda key: (key[0], first[key], key[1]))
    for before, after in pairwise(ordered):
        new_boot = boots[before].isdisjoint(boots[after])
        if before[0] != after[0]:
            found.append(Reset("sealed", str(before[0]), str(after[0]), first[after], new_boot))
        else:
            found.append(Reset("seal", before[1], after[1], first[after], new_boot))
    return tuple(sorted(found, key=lambda reset: reset.at))
