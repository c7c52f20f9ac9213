"""JSON lines → a point each: numbers become floats, strings strings, nested keys are joined by `_`."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

from drift_agent.logs.field_types import FieldTypes
from drift_agent.logs.handler import Counts, SeriesLimit
from drift_agent.logs.lines import Chunk
from drift_agent.logs.measurements import MEASUREMENTS
from drift_agent.logs.stamps import Stamps
from drift_agent.logs.times import parse_any
from drift_agent.model import FieldValue, Point

MAX_FIELDS: Final = 200
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


class JsonLog:
    """One section of JSON lines."""

    def __init__(
        self, name: str, tags: Sequence[str], time_key: str, counts: Counts, stamps: Stamps, types: FieldTypes
    ) -> None:
        self._name = name
        self._tags = tuple(tags)
        self._time_key = time_key
        self._counts = counts
        self._stamps = stamps
        self._limit = SeriesLimit(counts)
        self._points: list[Point] = []
        self._types = types

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
            elif name and (fitted := self._types.fit(measurement, name, value)) is not None:
                fields[name] = fitted
        if not fields:
            return None
        values = self._limit.admit(tuple(tags.values()))
        stamp = self._stamps.of_line(time, ordinal, offset) if time is not None else self._stamps.next(now_ns)
        return Point(measurement, dict(zip(tags, values, strict=True)), fields, stamp)


def _tag(value: object) -> str:
    return (value if isinstance(value, str) else json.dumps(value))[:MAX_TAG]
