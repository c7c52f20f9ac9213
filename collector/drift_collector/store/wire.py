"""Reports and items as JSON lines: what a collector serves and `CollectorStore` reads. Pure.

A stream ends with `{"end": N}`, the count of the lines before it: one that was cut short is known as such.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from drift_agent.errors import StoreError
from drift_collector.store.base import DriftItem, DriftReport, Reset

MAX_LINE_BYTES: Final = 4 << 20
"""More than any item: its point was at most 1 MiB, and JSON at most triples it."""

_ITEM_TYPES: Final = {item.name: item.type for item in fields(DriftItem)}
_REPORT_TYPES: Final = {item.name: item.type for item in fields(DriftReport) if item.name != "resets"}


def write_stream(values: Iterable[DriftReport | DriftItem]) -> Iterator[bytes]:
    """The lines of a stream, its end included."""
    count = 0
    for value in values:
        yield json.dumps(asdict(value), separators=(",", ":")).encode() + b"\n"
        count += 1
    yield b'{"end":%d}\n' % count


def read_reports(lines: Iterable[bytes]) -> Iterator[DriftReport]:
    """The reports of a stream.

    Raises:
        StoreError: it is cut short, or not what a collector sends.
    """
    for document in _documents(lines):
        resets = document.pop("resets", [])
        checked = _checked(document, _REPORT_TYPES)
        try:
            yield DriftReport(**checked, resets=tuple(Reset(**reset) for reset in resets))
        except TypeError:
            raise StoreError(_NONSENSE) from None


def read_items(lines: Iterable[bytes]) -> Iterator[DriftItem]:
    """The items of a stream; raises as `read_reports` does."""
    for document in _documents(lines):
        checked = _checked(document, _ITEM_TYPES)
        try:
            yield DriftItem(**checked)
        except TypeError:
            raise StoreError(_NONSENSE) from None


_NONSENSE: Final = (
    "the collector's answer is not what this program understands; check the address, and use the same version on both"
    " sides"
)


def _documents(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for count, line in enumerate(lines):
        try:
            document = json.loads(line) if len(line) <= MAX_LINE_BYTES else None
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise StoreError(_NONSENSE)
        if "end" in document:
            if document["end"] != count:
                raise StoreError("the collector's answer lacks lines; ask again")
            return
        if "error" in document:
            raise StoreError(f"the collector says: {document['error']!s:.500}")
        yield document
    raise StoreError("the collector's answer was cut short; ask again")


def _checked(document: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """The known fields, each of its type; unknown ones are a newer collector's."""
    checked = {}
    for name, value in document.items():
        wanted = types.get(name)
        if wanted is None:
            continue
        if isinstance(wanted, type):
            if wanted is float and type(value) is int:
                value = float(value)
            if type(value) is not wanted:
                raise StoreError(_NONSENSE)
        elif not isinstance(value, dict):  # the attributes of an item
            raise StoreError(_NONSENSE)
        checked[name] = value
    return checked
