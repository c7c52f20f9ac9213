"""A store filled with reports and items, by the way that agents' points take."""

import sqlite3
from collections.abc import Iterable

from drift_agent.drift.points import attributes_json
from drift_agent.line_protocol import Encoder
from drift_agent.model import FieldValue, Point
from drift_agent.schema import DRIFT, DRIFT_ITEM
from drift_collector.store.base import DriftItem, DriftReport
from drift_collector.store.lines import Line, read_lines
from drift_collector.store.sqlite_write import SqliteWriter


def lines(reports: Iterable[DriftReport], items: Iterable[DriftItem] = ()) -> str:
    """Line protocol of reports and items, with the tags that agents put on."""
    encoder = Encoder()
    points = [_drift(report) for report in reports] + [_item(item) for item in items]
    return "\n".join(encoder.line(point) for point in points)


def fill(path: str, reports: Iterable[DriftReport], items: Iterable[DriftItem] = ()) -> str:
    """Writes them into the embedded store at `path`; its address."""
    read = list(read_lines(lines(reports, items), 0))
    good = [line for line in read if isinstance(line, Line)]
    writer = SqliteWriter(path)
    try:
        bad = writer.write(good)
    finally:
        writer.close()
    assert len(good) == len(read), [line for line in read if not isinstance(line, Line)]
    assert not bad, bad
    return f"sqlite://{path}"


def checked(text: str) -> list[Line]:
    """The good lines of a text, ready to be written."""
    return [line for line in read_lines(text, 0) if isinstance(line, Line)]


def rows(path: str, query: str) -> list[tuple[object, ...]]:
    """What another program sees in the file of a store."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def _drift(report: DriftReport) -> Point:
    values = {name: getattr(report, name) for name in DRIFT.fields}
    tags = {"instance": report.instance, "host": report.host, "image": report.image, "group": report.group}
    return Point(DRIFT.name, tags, values, report.time)


def _item(item: DriftItem) -> Point:
    values: dict[str, FieldValue] = {
        "key": item.key,
        "class": item.path_class,
        "severity": item.severity,
        "expected": attributes_json(item.expected),
        "actual": attributes_json(item.actual),
        "diff": item.diff,
        "report": item.report,
        "first_seen": item.first_seen,
    }
    return Point(
        DRIFT_ITEM.name, {"instance": item.instance, "kind": item.kind, "change": item.change}, values, item.time
    )
