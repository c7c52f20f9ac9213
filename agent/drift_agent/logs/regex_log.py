"""Lines by a regular expression of one's own → counters, gauges and strings.

Of the pattern's named groups, those that `tags` names become tags; of the others the name says what they become:

    count_NAME   a counter: field NAME, i, the sum over the interval
    gauge_NAME   a gauge: field NAME, f, the last value of the interval
    time         the line's time
    any other    a string

Every series has `lines`, how many lines of the interval matched. A pattern with strings makes a point of every line
instead, at the line's time, with `lines` = 1.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from drift_agent.logs.handler import MAX_TEXT, Counts, SeriesLimit, text_of
from drift_agent.logs.json_log import MAX_TAG, measurement_name
from drift_agent.logs.lines import Chunk
from drift_agent.logs.stamps import LineTime, Stamps
from drift_agent.logs.times import parse_any
from drift_agent.model import FieldValue, Point

COUNT: Final = "count_"
GAUGE: Final = "gauge_"
_MAX_INT: Final = 2**62


@dataclass(slots=True)
class _Row:
    counters: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    strings: dict[str, str] = field(default_factory=dict)
    time: LineTime | None = None

    def fields(self, lines: int) -> dict[str, FieldValue]:
        return {"lines": lines, **self.counters, **self.gauges, **self.strings}


class RegexLog:
    """One section of lines of a pattern; lines that it is not found in are counted as unparsed."""

    def __init__(
        self, name: str, pattern: re.Pattern[str], tags: Sequence[str], counts: Counts, stamps: Stamps
    ) -> None:
        self._name = name
        self._pattern = pattern
        self._tags = tuple(tag for tag in pattern.groupindex if tag in tags)
        others = set(pattern.groupindex) - set(self._tags) - {"time"}
        self._each = any(not group.startswith((COUNT, GAUGE)) for group in others)
        self._counts = counts
        self._stamps = stamps
        self._limit = SeriesLimit(counts)
        self._points: list[Point] = []
        self._sums: dict[tuple[str, tuple[str, ...]], tuple[int, _Row]] = {}

    def feed(self, chunk: Chunk, now_ns: int) -> None:
        measurement = measurement_name(self._name or chunk.log)
        for offset, record in chunk.records():
            self._counts.lines += 1
            match = self._pattern.search(text_of(record))
            if match is None:
                self._counts.unparsed += 1
                continue
            groups = match.groupdict()
            values = self._limit.admit(tuple((groups[tag] or "")[:MAX_TAG] for tag in self._tags))
            row = self._row(groups)
            if self._each:
                time = row.time
                stamp = (
                    self._stamps.of_line(time, chunk.ordinal, offset) if time is not None else self._stamps.next(now_ns)
                )
                self._points.append(Point(measurement, self._named(values), row.fields(1), stamp))
            else:
                self._add((measurement, values), row)

    def points(self, now_ns: int) -> list[Point]:
        points, self._points = self._points, []
        if self._sums:
            stamp = self._stamps.next(now_ns)
            for (measurement, values), (lines, row) in self._sums.items():
                points.append(Point(measurement, self._named(values), row.fields(lines), stamp))
            self._sums = {}
        return points

    def _row(self, groups: dict[str, str | None]) -> _Row:
        row = _Row()
        for name, text in groups.items():
            if text is None or name in self._tags:
                continue
            if name == "time":
                row.time = parse_any(text)
            elif name.startswith((COUNT, GAUGE)):
                _take_number(row, name, text)
            else:
                row.strings[name] = text[:MAX_TEXT]
        return row

    def _add(self, key: tuple[str, tuple[str, ...]], row: _Row) -> None:
        lines, sums = self._sums.get(key, (0, _Row()))
        for name, number in row.counters.items():
            sums.counters[name] = min(_MAX_INT, max(-_MAX_INT, sums.counters.get(name, 0) + number))
        sums.gauges |= row.gauges
        self._sums[key] = (lines + 1, sums)

    def _named(self, values: tuple[str, ...]) -> dict[str, str]:
        return {tag: value for tag, value in zip(self._tags, values, strict=True) if value}


def _take_number(row: _Row, name: str, text: str) -> None:
    try:
        number = float(text)
    except ValueError:
        return
    if not math.isfinite(number):
        return
    if name.startswith(GAUGE):
        row.gauges[name.removeprefix(GAUGE)] = number
    elif abs(number) < _MAX_INT:
        row.counters[name.removeprefix(COUNT)] = round(number)
