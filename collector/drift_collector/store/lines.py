"""A body of line protocol → checked lines, quickly. Pure.

One regular expression knows the common forms; a line that it does not match, or whose numbers stand near a limit,
goes through the strict parser (`drift_agent.line_protocol.parse`), which has the last word: both accept and refuse
the same lines. Fields stay text and are decoded when read (`fields_of`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drift_agent.line_protocol import MAX_LINE_BYTES, LineError, parse
from drift_agent.model import FieldValue

# Unrolled loops: a run of plain characters is one step of the engine, which is most of the speed.
_ESCAPE: Final = r"\\++[^\n\\]"
_NAME: Final = rf"(?:[^,= \n\\]|{_ESCAPE})[^,= \n\\]*+(?:{_ESCAPE}[^,= \n\\]*+)*+"
_MEASUREMENT: Final = rf"(?:[^, \n\\]|{_ESCAPE})[^, \n\\]*+(?:{_ESCAPE}[^, \n\\]*+)*+"
_NUMBER: Final = r"-?(?:(?:[1-8][0-9]{18}|[0-9]{1,18})i|[0-9]{1,40}+(?:\.[0-9]{0,40}+)?(?:e[-+]?[0-9]{1,2}+)?)"
_FIELD: Final = rf'(?!time=){_NAME}=(?:{_NUMBER}|"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"|true|false)'
_LINE: Final = re.compile(
    rf"((?![#\t]){_MEASUREMENT}(?:,{_NAME}={_NAME})*+) ({_FIELD}(?:,{_FIELD})*+)"
    r"(?: (-?(?:[1-8][0-9]{18}|[0-9]{1,18})))?"
)

PRECISIONS: Final = {
    "ns": 1, "n": 1, "us": 10**3, "u": 10**3, "µ": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
"""Nanoseconds of a unit of time, by the names that the write requests of InfluxDB 1.x and 2.x have for it."""

_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Line:
    """One good line: the head of its series as written, its fields as text, its time in Unix ns."""

    head: str
    fields: str
    time: int


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that was refused, and why."""

    text: str
    reason: str


def read_line(text: str, now: int, unit: int = 1) -> Line | BadLine | None:
    """The line of `text`; None for an empty one and a comment. Without a time it gets `now` (Unix ns).

    `unit` is the precision in ns. The head is not checked for a tag that stands twice: `tags_of` does, once a series.
    """
    match = _LINE.fullmatch(text) if len(text) <= MAX_LINE_BYTES else None
    if match is None:
        return _read_strictly(text, now, unit)
    head, fields, time = match.groups()
    if time is None:
        return Line(head, fields, now)
    stamp = int(time) * unit
    return Line(head, fields, stamp) if stamp in _INT64 else BadLine(text, "time outside range")


def _read_strictly(text: str, now: int, unit: int) -> Line | BadLine | None:
    text = text.removesuffix("\r").lstrip(" \t")
    if not text or text.startswith("#"):
        return None
    try:
        point = parse(text, default_time=now)
    except LineError as error:
        return BadLine(text, str(error))
    match = _PARTS.fullmatch(text)
    if match is None:  # cannot be: the strict parser took it
        return BadLine(text, "not line protocol")
    head, fields, time = match.groups()
    stamp = now if time is None else point.time * unit
    return Line(head, fields, stamp) if stamp in _INT64 else BadLine(text, "time outside range")


# Of a line that the strict parser took: only where its parts end.
_ANY_VALUE: Final = r'(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^, "]++)'
_PARTS: Final = re.compile(
    rf"({_MEASUREMENT}(?:,{_NAME}={_NAME})*+) ({_NAME}={_ANY_VALUE}(?:,{_NAME}={_ANY_VALUE})*+)(?: (-?[0-9]+))?"
)


def read_lines(text: str, now: int, unit: int = 1) -> Iterator[Line | BadLine]:
    """The lines of a text of many, in order; empty lines and comments are left out."""
    for line in text.split("\n"):
        read = read_line(line, now, unit)
        if read is not None:
            yield read


def tags_of(head: str) -> tuple[str, dict[str, str]]:
    """Measurement and tags of a line's head.

    Raises:
        LineError: a tag stands twice, or is called `time`.
    """
    point = parse(f"{head} f=0")
    return point.measurement, dict(point.tags)


def fields_of(text: str) -> dict[str, FieldValue]:
    """The values of a line's fields; a field that stands twice has its last one. `text` was checked when written."""
    return {
        _UNESCAPE_NAME.sub(r"\1", name) if "\\" in name else name: _value(value)
        for name, value in _ONE_FIELD.findall(text)
    }


def _value(text: str) -> FieldValue:
    first = text[0]
    if first == '"':
        return _UNESCAPE_QUOTED.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]
    if text[-1] == "i":
        return int(text[:-1])
    return first in "tT" if first in "tTfF" else float(text)


_UNESCAPE_NAME: Final = re.compile(r"\\([,= ])")
_UNESCAPE_QUOTED: Final = re.compile(r'\\(["\\])')
_TAG: Final = re.compile(rf",{_NAME}={_NAME}")
_ONE_FIELD: Final = re.compile(rf"({_NAME})=({_ANY_VALUE})")


def canonical(head: str) -> str:
    """The head with its tags in the order of their names: the same series, in whatever order they were written."""
    tags = _TAG.findall(head)
    measurement = head[: len(head) - sum(map(len, tags))]
    return measurement + "".join(sorted(tags))


def merge_fields(kept: str, coming: str) -> str:
    """The fields of two lines of the same series and time as one text; one that stands in both has the later value."""
    fields = dict(_ONE_FIELD.findall(kept))
    fields.update(_ONE_FIELD.findall(coming))
    return ",".join(f"{name}={value}" for name, value in fields.items())
