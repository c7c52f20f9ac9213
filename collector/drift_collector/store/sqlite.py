"""The embedded store, as a reader: one SQLite file beside a server that writes it (`sqlite_write`)."""

import sys
from collections.abc import Collection, Iterator, Sequence
from threading import Lock
from typing import Any, Final

from drift_agent.line_protocol import unportable
from drift_agent.schema import DRIFT
from drift_collector.store.base import MAX_ITEMS, DriftItem, DriftReport, Reset, is_newer, item_of, report_of
from drift_collector.store.lines import fields_of, tags_of
from drift_collector.store.resets import Latch, SealSeen, Twice, resets_of
from drift_collector.store.sqlite_file import COLUMNS, open_file, told

_PAGE: Final = 5_000
_SELECT: Final = "SELECT id, " + ", ".join(f'"{name}"' for name in COLUMNS) + " FROM newest "
# Strings that a fleet shares: kept once, they are most of the memory of a large one.
_SHARED: Final = tuple(
    COLUMNS.index(name) for name in ("image", "group", "state", "manifest", "observed", "policy", "agent_version")
)
_DECODED: Final = tuple(
    index for index, name in enumerate(COLUMNS) if name in DRIFT.fields and DRIFT.fields[name].type == "s"
)

Row = tuple[Any, ...]


class SqliteStore:
    """Reads the store at `path`. Pages are short reads: a report never holds back the writer's checkpoints."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection = open_file(path)
        self._lock = Lock()

    def newest(self, since: int, until: int) -> Iterator[DriftReport]:
        resets = self._resets(None)
        for row in self._pages('"time" BETWEEN ? AND ?', (since, until)):
            yield _report(row, resets)
        for row in self._pages('"time" > ?', (until,)):
            earlier = self._newest_of_points(row[2], since, until)
            if earlier is not None:
                yield earlier

    def lookback(self, before: int, instances: Collection[str] | None = None) -> Iterator[DriftReport]:
        if instances is None:
            resets = self._resets(None)
            for row in self._pages('"time" < ?', (before,)):
                yield _report(row, resets)
            return
        for instance in dict.fromkeys(instances):
            for row in self._rows(_SELECT + 'WHERE "instance" = ?', (instance,)):
                if row[1] < before:
                    yield _report(row, self._resets(instance))
                    continue
                earlier = self._newest_of_points(instance, -(2**63), before - 1)
                if earlier is not None:
                    yield earlier

    def items(self, report: DriftReport) -> list[DriftItem]:
        if report.report <= 0:
            return []
        rows = self._rows(
            "SELECT p.time, s.key, p.fields FROM drift_point p JOIN series s ON s.id = p.series"
            " WHERE p.time BETWEEN ? AND ? AND s.instance = ? ORDER BY p.time LIMIT ?",
            (report.report, report.report + MAX_ITEMS, report.instance, 2 * MAX_ITEMS),
        )
        items = []
        for time, key, text in rows:
            measurement, tags = tags_of(key)
            if measurement == "drift_item":
                item = item_of(time, tags, fields_of(text))
                if item.report == report.report:
                    items.append(item)
        return items[:MAX_ITEMS]

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _rows(self, query: str, parameters: Sequence[object]) -> list[Row]:
        with self._lock, told(self.path):
            return self._connection.execute(query, parameters).fetchall()

    def _pages(self, where: str, parameters: Sequence[object]) -> Iterator[Row]:
        last = 0
        while rows := self._rows(f"{_SELECT}WHERE id > ? AND {where} ORDER BY id LIMIT {_PAGE}", (last, *parameters)):
            yield from rows
            last = rows[-1][0]

    def _newest_of_points(self, instance: str, since: int, until: int) -> DriftReport | None:
        """From the points themselves: for an instance whose newest report lies outside the time that was asked for."""
        newest: DriftReport | None = None
        resets = self._resets(instance).get(instance, ())
        with self._lock, told(self.path):
            cursor = self._connection.execute(
                "SELECT p.time, s.key, p.fields FROM drift_point p JOIN series s ON s.id = p.series"
                " WHERE p.time BETWEEN ? AND ? AND s.instance = ? AND s.key GLOB 'drift,*'",
                (since, until, instance),
            )
            for time, key, text in cursor:
                report = report_of(time, tags_of(key)[1], fields_of(text), resets)
                if newest is None or is_newer(report, newest):
                    newest = report
        return newest

    def _resets(self, instance: str | None) -> dict[str, tuple[Reset, ...]]:
        """Signs of a wiped memory, of the instances that have any."""
        only, parameters = ("", ()) if instance is None else (" AND instance = ?", (instance,))
        seals: dict[str, list[SealSeen]] = {}
        twice: dict[str, list[Twice]] = {}
        latches: dict[str, list[Latch]] = {}
        for name, sealed, seal, boot_id, first in self._rows(
            "SELECT instance, sealed, seal, boot_id, first FROM seal WHERE instance IN"
            f" (SELECT instance FROM seal WHERE sealed > 0{only} GROUP BY instance"
            " HAVING count(DISTINCT sealed || seal) > 1)",
            parameters,
        ):
            seals.setdefault(name, []).append(SealSeen(sealed, seal, boot_id, first))
        for name, sealed, seq, time, again, new_boot in self._rows(
            f"SELECT instance, sealed, seq, time, again, new_boot FROM seq WHERE again IS NOT NULL{only} LIMIT 100000",
            parameters,
        ):
            twice.setdefault(name, []).append(Twice(sealed, seq, time, again, bool(new_boot)))
        for name, dirty, clean, at in self._rows(
            f"SELECT instance, dirty, clean, at FROM latch WHERE clean > dirty{only} LIMIT 100000", parameters
        ):
            latches.setdefault(name, []).append(Latch(dirty, clean, at))
        found = {
            name: resets_of(seals.get(name, ()), twice.get(name, ()), latches.get(name, ()))
            for name in seals.keys() | twice.keys() | latches.keys()
        }
        return {name: resets for name, resets in found.items() if resets}


def _report(row: Row, resets: dict[str, tuple[Reset, ...]]) -> DriftReport:
    values = list(row[1:])
    for index in _DECODED:
        if "\\" in values[index]:
            values[index] = unportable(values[index])
    for index in _SHARED:
        values[index] = sys.intern(values[index])
    values.append(resets.get(values[1], ()))
    return DriftReport(*values)


assert COLUMNS[:2] == ("time", "instance")
