"""The types of fields that logs bring by themselves: a field keeps the one that it had first."""

import json
import math
from typing import Final

from drift_agent.logs.handler import MAX_TEXT
from drift_agent.model import FieldValue

MAX_KNOWN_FIELDS: Final = 5_000
"""Of all measurements together; what comes beyond is left out."""

_KINDS: Final = frozenset({"bool", "float", "str"})


class FieldTypes:
    """Of every section together: two types of one field in a measurement cost lines in every store."""

    def __init__(self, kept: bytes | None = None) -> None:
        """`kept` is what `state` gave; anything else is nothing."""
        self._known: dict[str, dict[str, str]] = {}
        self._count = 0
        for measurement, name, kind in _read(kept):
            self._learn(measurement, name, kind)

    def state(self) -> bytes:
        """What must outlive the agent."""
        return json.dumps(self._known).encode()

    def fit(self, measurement: str, name: str, value: object) -> "FieldValue | None":
        """`value` in the field's type; None where it has none, or cannot be brought into it."""
        found = _plain(value)
        if found is None:
            return None
        kind = self._known.get(measurement, {}).get(name)
        if kind is None:
            if self._count >= MAX_KNOWN_FIELDS:
                return None
            kind = type(found).__name__
            self._learn(measurement, name, kind)
        if type(found).__name__ == kind:
            return found
        return str(found) if kind == "str" else _as_float(found) if kind == "float" else None

    def _learn(self, measurement: str, name: str, kind: str) -> None:
        self._known.setdefault(measurement, {})[name] = kind
        self._count += 1


def _plain(value: object) -> "FieldValue | None":
    """A JSON value as a field's: every number a float, text bounded; None for what is neither, nor true or false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _as_float(value)
    return value[:MAX_TEXT] if isinstance(value, str) else None


def _as_float(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _read(kept: bytes | None) -> list[tuple[str, str, str]]:
    try:
        document = json.loads(kept or b"{}")
        return [
            (measurement, name, kind)
            for measurement, fields in document.items()
            for name, kind in fields.items()
            if kind in _KINDS
        ]
    except (ValueError, AttributeError, TypeError):
        return []
