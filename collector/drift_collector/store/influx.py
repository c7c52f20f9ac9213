"""InfluxDB as a store, by InfluxQL through `/query`: 1.x, 2.x, 3.x, and engines that speak it (openGemini).

A fleet is read as raw rows of the freshness window, chunked, and the newest of each instance is kept here: three times
faster than grouping in the server. Every identifier is quoted (`policy` and `group` are words of InfluxQL), every value
escaped. An error may come with status 200, in the body.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

from drift_agent.schema import DRIFT, DRIFT_ITEM, GLOBAL_TAGS
from drift_collector.store.base import MAX_ITEMS, DriftItem, DriftReport, Stamp, is_newer, item_of, report_of
from drift_collector.store.influx_resets import looks_repeated, with_resets
from drift_collector.store.influxql import ALL_AT_ONCE, InfluxQL, Row, Table, columns, literal, named, quoted

_DAY_NS: Final = 86_400 * 10**9
HORIZON_NS: Final = 90 * _DAY_NS
"""How far `lookback` goes for those that nobody names."""
_LATELY_NS: Final = 3 * 3_600 * 10**9
"""For so long a report may count as present: three of the longest report intervals."""

_TAGS: Final = ("instance", *GLOBAL_TAGS)
# What no verdict on a clean instance needs is not asked of everyone: it would double the cost of a large fleet.
_DETAIL: Final = frozenset(
    {"added", "removed", "modified", "reverted", "logins", "scanned", "report"}
    | {"agent_version", "scan_seconds", "clock_offset", "degraded"}
)
_BRIEF: Final = (*(name for name in DRIFT.fields if name not in _DETAIL), *_TAGS)
_ALL: Final = (*DRIFT.fields, *_TAGS)
# What a report that says that it is clean must not have, or what is worth a note: then its details are asked for too.
_NOT_PLAIN: Final = " OR ".join(
    [
        "\"state\" != 'clean'",
        *(f'"{name}" > 0' for name in ("added", "removed", "modified", "reverted", "logins", "unreadable", "degraded")),
        *('"clock_offset" > 60', '"clock_offset" < -60'),
    ]
)
_ITEM: Final = (*DRIFT_ITEM.fields, *DRIFT_ITEM.tags)
# `last` of a number: of a string openGemini 1.5 mixes the letters of two points.
_LAST: Final = 'last("seq") AS "seq", ' + columns(name for name in _ALL if name not in ("seq", "instance"))
_SHARED: Final = ("image", "group", "state", "manifest", "observed", "policy")


class InfluxStore:
    """Reads one database."""

    def __init__(self, influxql: InfluxQL) -> None:
        self._influxql = influxql
        self._present: tuple[int, frozenset[str]] | None = None
        """The instances that the last `newest` saw, and since when it looked."""

    def newest(self, since: int, until: int) -> Iterator[DriftReport]:
        where = f"time >= {since} AND time <= {until}"
        suspects: set[str] = set()
        found = _newest_of(self._influxql.tables(f'SELECT {columns(_BRIEF)} FROM "drift" WHERE {where}'), suspects)
        self._present = (since, frozenset(found))
        if found:
            details = self._influxql.rows(f'SELECT {columns(_ALL)} FROM "drift" WHERE {where} AND ({_NOT_PLAIN})')
            for row in details:
                report = _report(row)
                known = found.get(report.instance)
                if known is not None and _place(known) == _place(report):
                    found[report.instance] = report
        if found:
            yield from with_resets(self._influxql, found, suspects, (since - HORIZON_NS, until))

    def lookback(self, before: int, instances: Collection[str] | None = None) -> Iterator[DriftReport]:
        where = f"time < {before}"
        if instances is None:
            instances = self._missing(before)
            if instances is None or len(instances) > ALL_AT_ONCE:
                yield from self._last(f"time >= {before - HORIZON_NS} AND {where}", before)
                return
        for which in named(instances, always=True):
            yield from self._last(where + which, before)

    def items(self, report: DriftReport) -> list[DriftItem]:
        if report.report <= 0:
            return []
        rows = self._influxql.rows(
            f'SELECT {columns(_ITEM)} FROM "drift_item" WHERE time >= {report.report}'
            f' AND time <= {report.report + MAX_ITEMS} AND "instance" = {literal(report.instance)}'
        )
        items = [item_of(row["time"], row, row) for row in rows]
        items.sort(key=lambda item: item.time)
        return [item for item in items if item.report == report.report][:MAX_ITEMS]

    def close(self) -> None:
        self._influxql.close()

    def _last(self, where: str, before: int) -> Iterator[DriftReport]:
        """The newest of each instance by its last point; of those that may be present still, by all their late ones."""
        found = _newest_of(self._influxql.tables(f'SELECT {_LAST} FROM "drift" WHERE {where} GROUP BY "instance"'))
        suspects: set[str] = set()
        late = [name for name, report in found.items() if report.time >= before - _LATELY_NS]
        for which in named(late):
            query = (
                f'SELECT {columns(_ALL)} FROM "drift" WHERE time >= {before - _LATELY_NS} AND time < {before}{which}'
            )
            found |= _newest_of(self._influxql.tables(query), suspects)
        yield from with_resets(self._influxql, found, suspects, (before - HORIZON_NS, before - 1))

    def _missing(self, before: int) -> list[str] | None:
        """The known instances that the last `newest` did not see; None where that is not known."""
        if self._present is None or self._present[0] > before:
            return None
        query = f'SHOW TAG VALUES FROM "drift" WITH KEY = {quoted("instance")} WHERE time >= {before - HORIZON_NS}'
        known = {row["value"] for row in self._influxql.rows(query, timed=False) if isinstance(row.get("value"), str)}
        return sorted(known - self._present[1])


def _report(row: Row) -> DriftReport:
    for name in _SHARED:
        value = row.get(name)
        if type(value) is str:
            row[name] = sys.intern(value)
    return report_of(row["time"], row, row)


def _newest_of(tables: Iterable[Table], suspects: set[str] | None = None) -> dict[str, DriftReport]:
    """The newest report of each instance; `suspects` gains those whose reports do not agree about their past.

    Rows stay as they came until the newest is known: most are not.
    """
    by_seal: dict[tuple[str, int], tuple[Stamp, Table, list[Any]]] = {}
    latest: dict[str, Stamp] = {}
    for table in tables:
        stamp_of = _stamps(table)
        for values in table.values:
            instance, stamp = stamp_of(values)
            known = by_seal.get((instance, stamp.sealed))
            if known is None or is_newer(stamp, known[0]):
                by_seal[instance, stamp.sealed] = stamp, table, values
            if suspects is not None:
                if instance in latest and looks_repeated(stamp, latest[instance]):
                    suspects.add(instance)
                latest[instance] = stamp
    found: dict[str, tuple[Stamp, Table, list[Any]]] = {}
    # In two steps: "by `seq` where `sealed` is equal, else by time" is no order over three reports.
    for (instance, _), candidate in by_seal.items():
        if instance not in found or candidate[0].time > found[instance][0].time:
            found[instance] = candidate
    return {instance: _report(table.row(values)) for instance, (_, table, values) in found.items()}


def _place(report: DriftReport) -> tuple[int, int, int]:
    return report.time, report.sealed, report.seq


def _stamps(table: Table) -> Callable[[list[Any]], tuple[str, Stamp]]:
    """Reads instance and stamp from a row of `table`; what is missing or ill-typed is 0 or empty, as in a report."""
    places = {name: place for place, name in enumerate(table.columns)}
    tag = table.tags.get("instance", "")

    def text(values: list[Any], name: str) -> str:
        value = values[places[name]] if name in places else ""
        return value if type(value) is str else ""

    def number(values: list[Any], name: str) -> int:
        value = values[places[name]] if name in places else 0
        return value if type(value) is int else 0

    def read(values: list[Any]) -> tuple[str, Stamp]:
        stamp = Stamp(values[0], number(values, "sealed"), number(values, "seq"), text(values, "seal"))
        return tag or text(values, "instance"), stamp

    return read
