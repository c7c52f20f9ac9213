"""What is known of an instance's drift, and how a look at it changes that. Pure.

From the seal on nothing is forgotten: an item that is as it should be again stays as `reverted`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from drift_agent.drift.state_record import Delta, Slot
from drift_agent.model import Change, Key

MAX_REVERTED: Final = 10_000
"""Latched items that are kept; past it the instance is known to be lost, and one more changes nothing."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """`open` differ now, `reverted` did. No key is in both."""

    open: Mapping[Key, Change] = field(default_factory=dict)
    reverted: Mapping[Key, Change] = field(default_factory=dict)


def advance(
    ledger: Ledger, found: Mapping[Key, Change], in_scope: Callable[[Key], bool], now: int, *, latch: bool
) -> tuple[Ledger, Delta]:
    """The ledger after a look that found `found`, and what of it must be written.

    Items outside of `in_scope` were not looked at and stand as they stood. `now` (Unix ns) is first seen of what is
    new. Before the seal (`latch` false) what is put right again is gone.
    """
    opened, reverted = dict(ledger.open), dict(ledger.reverted)
    put: dict[Slot, list[Change]] = {"open": [], "reverted": []}
    drop: dict[Slot, list[Key]] = {"open": [], "reverted": []}
    for key in [key for key in opened if key not in found and in_scope(key)]:
        gone = opened.pop(key)
        drop["open"].append(key)
        if latch and len(reverted) < MAX_REVERTED:
            reverted[key] = replace(gone, change="reverted")
            put["reverted"].append(reverted[key])
    for key, change in found.items():
        before = opened.get(key) or reverted.get(key)
        change = replace(change, first_seen=before.first_seen if before else now)
        if key in reverted:
            del reverted[key]
            drop["reverted"].append(key)
        if opened.get(key) != change:
            opened[key] = change
            put["open"].append(change)
    return Ledger(opened, reverted), Delta(put=dict(put), drop=dict(drop))


def is_empty(delta: Delta) -> bool:
    """Whether nothing of the ledger changed."""
    return not any(delta.put.values()) and not any(delta.drop.values())
