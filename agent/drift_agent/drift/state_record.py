"""An item as `state.db` keeps it: a JSON object, believed only if it is whole. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from drift_agent.model import AttributeValue, Change, ChangeKind, Key, PathClass, Severity

Slot: TypeAlias = Literal["open", "reverted", "seal", "login"]
"""open: items that differ now · reverted: that did · seal: the sealed class as first boot left it · login: who came."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What one transaction changes in the items."""

    put: dict[Slot, Iterable[Change]] = field(default_factory=dict)
    drop: dict[Slot, Iterable[Key]] = field(default_factory=dict)


UNKNOWN: Final[dict[str, AttributeValue]] = {"record": "cannot be read"}
"""`actual` of an item whose record in `state.db` was damaged: that there was one is all that is known."""

_SCALARS: Final = (str, int, type(None))
_CHANGE_FIELDS: Final = ("change", "path_class", "severity", "expected", "actual", "diff", "first_seen")


def encode(change: Change) -> str:
    """The record of an item; its kind and key stand beside it."""
    values = {name: getattr(change, name) for name in _CHANGE_FIELDS}
    return json.dumps({**values, "expected": dict(change.expected), "actual": dict(change.actual)})


def decode(slot: Slot, kind: str, key: str, text: bytes) -> Change | None:
    """The item of a record; None where it is not such as `encode` writes for that slot."""
    try:
        values = json.loads(text)
        change = Change(kind, key, **{name: values[name] for name in _CHANGE_FIELDS})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return change if _is_sound(change) and (slot == "reverted") == (change.change == "reverted") else None


def _is_sound(change: Change) -> bool:
    """Whether the values are such as `encode` writes."""
    return (
        change.change in get_args(ChangeKind)
        and change.path_class in get_args(PathClass)
        and change.severity in get_args(Severity)
        and isinstance(change.diff, str)
        and isinstance(change.first_seen, int)
        and 0 <= change.first_seen < 1 << 63
        and all(
            isinstance(attributes, dict) and all(isinstance(value, _SCALARS) for value in attributes.values())
            for attributes in (change.expected, change.actual)
        )
    )


def unknown(slot: Slot, kind: str, key: str) -> Change:
    """What stands for a record that cannot be read. In a seal it equals nothing, and so is drift from then on."""
    change: ChangeKind = "reverted" if slot == "reverted" else "added" if slot == "login" else "modified"
    return Change(kind, key, change, "sealed" if slot == "seal" else "frozen", "high", actual=UNKNOWN)
