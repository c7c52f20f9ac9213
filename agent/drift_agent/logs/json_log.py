"""JSON lines → a point each: numbers become floats, strings strings, nested keys are joined by `_`."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Final

from drift_agent.logs.handler import MAX_TEXT, Counts, SeriesLimit
from drift_agent.logs.lines import Chunk
from drift_agent.logs.measurements import MEASUREMENTS
from drift_agent.logs.stamps import Stamps
from drift_agent.logs.times import parse_any
from drift_agent.model import FieldValue, Point

MAX_FIELDS: Final = 200
MAX_KNOWN_FIELDS: Final = 1000
MAX_TAG: Final = 256
_RESERVED: Final = frozenset({"drift", "drift_item", *MEASUREMENTS})


def measurement_name(name: str) -> str:
    """The name of a section's own measurement: never one that means something else here."""
    return f"{name}_log" if name in _RESERVED else name


def flatten(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Leaves of a JSON document with their joined keys; items of a list by their number."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from flatten(part, f"{prefix}_{key}" if prefix else str(key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from flatten(part, f"{prefix}_{number}" if prefix else str(number))
    else:
        yield prefix, value


class FieldTypes:
    """A field keeps the type that it had first: two types of one field cost lines in every store."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def fit(self, name: str, value: object) -> "FieldValue | None":
        """`value` in the field's type; None where it has none, or cannot be brought into it."""
        if isinstance(value, bool):
            found: FieldValue = value
        elif isinstance(value, int | float):
            number = _as_float(value)
            if number is None:
                return None
            found = number
        elif isinstance(value, str):
            found = value[:MAX_TEXT]
        else:
            return None
        kind = self.known.get(name)
        if kind is None:
            if len(self.known) >= MAX_KNOWN_FIELDS:
                return None
            kind = self.known[name] = type(found).__name__
        if type(found).__name__ == kind:
            return found
        return str(found) if kind == "str" else _as_float(found) if kind == "float" else None


def _as_float(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


class JsonLog:
    """One section of JSON lines."""

    def __init__(self, name: str, tags: Sequence[str], time_key: str, counts: Counts, stamps: Stamps) -> None:
        self._name = name
        self._tags = tuple(tags)
        self._time_key = time_key
        self._counts = counts
        self._stamps = stamps
        self._limit = SeriesLimit(counts)
        self._points: list[Point] = []
        self.types = FieldTypes()

    def feed(self, chunk: Chunk, now_ns: int) -> None:
        measurement = measurement_name(self._name or chunk.log)
        for offset, record in chunk.records():
            self._counts.lines += 1
            point = self._point(measurement, record, chunk.ordinal, offset, now_ns)
            if point is None:
                self._counts.unparsed += 1
            else:
                self._points.append(point)

    def points(self, now_ns: int) -> list[Point]:
        del now_ns
        points, self._points = self._points, []
        return points

    def _point(self, measurement: str, record: bytes, ordinal: int, offset: int, now_ns: int) -> Point | None:
        try:
            document = json.loads(record.decode("utf-8", "surrogateescape"))
            leaves = dict(zip(range(MAX_FIELDS), flatten(document), strict=False)).values()
        except (ValueError, RecursionError):
            return None
        if not isinstance(document, dict):
            return None
        tags: dict[str, str] = {}
        fields: dict[str, FieldValue] = {}
        time = None
        for key, value in leaves:
            if key == self._time_key and time is None:
                time = parse_any(value)
            if key == self._time_key and time is not None:
                continue
            name = "time_" if key == "time" else key[:MAX_TAG]
            if key in self._tags:
                if value not in (None, ""):
                    tags[name] = _tag(value)
            elif name and (fitted := self.types.fit(name, value)) is not None:
                fields[name] = fitted
        if not fields:
            return None
        values = self._limit.admit(tuple(tags.values()))
        stamp = self._stamps.of_line(time, ordinal, offset) if time is not None else self._stamps.next(now_ns)
        return Point(measurement, dict(zip(tags, values, strict=True)), fields, stamp)


def _tag(value: object) -> str:
    return (value if isinstance(value, str) else json.dumps(value))[:MAX_TAG]
