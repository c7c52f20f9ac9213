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
    """A `seq` that came with two different times, both Unix ns. `new_boot`: under two boots."""

    sealed: int
    seq: int
    time: int
    again: int
    new_boot: bool = False


@dataclass(frozen=True, slots=True)
class Latch:
    """Two reports under one seal: `dirty` is the `seq` of one that was drifted or tainted, `clean` of one that was not.

    `at` is the time of the second, Unix ns.
    """

    dirty: int
    clean: int
    at: int


def resets_of(
    seals: Iterable[SealSeen], twice: Iterable[Twice] = (), latches: Iterable[Latch] = ()
) -> tuple[Reset, ...]:
    """The signs in what was seen of one instance, by time.

    Of what came before a seal (`sealed` = 0) only the sequence counts: an agent counts on through its seal.
    """
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
            "seq" if each.sealed > 0 else "start",
            f"{each.seq} at {each.time}",
            f"{each.seq} at {each.again}",
            max(each.time, each.again),
            each.new_boot,
        )
        for each in twice
    ]
    found += [
        Reset("latch", str(latch.dirty), str(latch.clean), latch.at, new_boot=False)
        for latch in latches
        if latch.clean > latch.dirty
    ]
    ordered = sorted(boots, key=lambda key: (key[0], first[key], key[1]))
    for before, after in pairwise(ordered):
        new_boot = boots[before].isdisjoint(boots[after])
        if before[0] != after[0]:
            found.append(Reset("sealed", str(before[0]), str(after[0]), first[after], new_boot))
        else:
            found.append(Reset("seal", before[1], after[1], first[after], new_boot))
    return tuple(sorted(found, key=lambda reset: reset.at))
