"""The embedded store, as a writer: checked lines in, one transaction a batch. One process writes at a time."""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from threading import Lock
from typing import Final

from drift_agent.errors import LockHeldError, StoreError
from drift_agent.line_protocol import LineError
from drift_agent.model import FieldValue
from drift_agent.schema import DRIFT, DRIFT_ITEM
from drift_collector.store.base import DriftReport, Stamp, is_newer, report_of
from drift_collector.store.lines import BadLine, Line, canonical, fields_of, merge_fields, tags_of
from drift_collector.store.sqlite_file import COLUMNS, open_file, told

MAX_SERIES: Final = 2_000_000
_MAX_HEADS: Final = 300_000
_TABLES: Final = {"drift": "drift_point", "drift_item": "drift_point"}
_DECLARED: Final = {"drift": DRIFT, "drift_item": DRIFT_ITEM}
_TYPES: Final = {"s": str, "i": int, "f": float}
_NAMES: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_columns: Final = attrgetter(*COLUMNS)
_UPSERT_NEWEST: Final = (
    f"INSERT INTO newest ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT (instance) DO UPDATE SET "
    + ", ".join(f'"{name}" = excluded."{name}"' for name in COLUMNS)
)

# The first that was not clean and the last that was, by `seq`: whatever the order in which they come.
_UPSERT_LATCH: Final = (
    "INSERT INTO latch VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " dirty = min(ifnull(dirty, excluded.dirty), ifnull(excluded.dirty, dirty)),"
    " clean = max(ifnull(clean, excluded.clean), ifnull(excluded.clean, clean)),"
    " at = iif(excluded.clean >= ifnull(clean, excluded.clean), excluded.at, at)"
    " WHERE excluded.dirty < ifnull(dirty, 9223372036854775807) OR excluded.clean > ifnull(clean, -1)"
)


@dataclass(frozen=True, slots=True)
class _Series:
    id: int
    measurement: str
    instance: str
    tags: dict[str, str] | None
    """Only of `drift` and `drift_item`."""


class SqliteWriter:
    """Writes the store at `path`; makes it if it is not there. Threads may share it: one batch at a time.

    Raises:
        LockHeldError: another process writes this store.
        StoreError: it cannot be opened, or a write failed; then nothing of that batch is stored.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection = open_file(path, create=True)
        try:
            self._lock_file = _lock(path)
        except BaseException:
            self._connection.close()
            raise
        self._lock = Lock()
        self._heads: dict[str, _Series] = {}
        self._series_count = self._count_series()
        self._connection.create_function("merge_fields", 2, merge_fields, deterministic=True)

    def write(self, lines: Sequence[Line], bound_to: str | None = None) -> list[BadLine]:
        """Stores the lines; gives back those that it refused, with reasons.

        `bound_to`: the instance that the writer's token is bound to: its reports and items must bear that tag, and so
        must any other point that bears an `instance` at all.
        """
        with self._lock, told(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                fresh: dict[str, _Series] = {}
                bad = self._write(lines, bound_to, fresh)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                    self._series_count = self._count_series()
                raise
            if len(self._heads) + len(fresh) > _MAX_HEADS:
                self._heads.clear()
            self._heads.update(fresh)
        return bad

    @contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """The connection, while nobody else writes through it; keep it for moments only."""
        with self._lock, told(self.path):
            yield self._connection

    def prune(self) -> None:
        """Deletes the series that have no point any more, and forgets what is remembered of them, at once."""
        with self.exclusive() as connection:
            connection.execute(
                "DELETE FROM series WHERE id NOT IN (SELECT series FROM metric_point)"
                " AND id NOT IN (SELECT series FROM drift_point)"
            )
            self._heads.clear()
            self._series_count = self._count_series()

    def close(self) -> None:
        """Ends the writer; what was acknowledged is on disk. May be called twice."""
        with self._lock:
            self._connection.close()
            if self._lock_file >= 0:
                os.close(self._lock_file)
                self._lock_file = -1

    def _write(self, lines: Sequence[Line], bound_to: str | None, fresh: dict[str, _Series]) -> list[BadLine]:
        bad: list[BadLine] = []
        rows: dict[str, list[tuple[int, int, str]]] = {"metric_point": [], "drift_point": []}
        reports: list[DriftReport] = []
        for line in lines:
            try:
                series = self._heads.get(line.head) or fresh.get(line.head) or self._find(line.head, fresh)
                if bound_to is not None:
                    _check_binding(series, bound_to)
                if series.tags is not None:
                    values = _check_types(series.measurement, line.fields)
                    if series.measurement == "drift":
                        reports.append(report_of(line.time, series.tags, values, decode=False))
            except LineError as error:
                bad.append(BadLine(f"{line.head} {line.fields} {line.time}", str(error)))
                continue
            rows[_TABLES.get(series.measurement, "metric_point")].append((line.time, series.id, line.fields))
        for table, points in rows.items():
            points.sort()
            self._connection.executemany(
                f"INSERT INTO {table} (time, series, fields) VALUES (?, ?, ?) ON CONFLICT (time, series)"
                " DO UPDATE SET fields = merge_fields(fields, excluded.fields) WHERE fields IS NOT excluded.fields",
                points,
            )
        self._note(reports)
        return bad

    def _count_series(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM series").fetchone()
        return int(count)

    def _find(self, head: str, fresh: dict[str, _Series]) -> _Series:
        measurement, tags = tags_of(head)
        special = measurement in _DECLARED
        instance = tags.get("instance", "")
        if special and not instance:
            raise LineError(f"a {measurement} point needs the tag 'instance'")
        key = canonical(head)
        row = self._connection.execute("SELECT id FROM series WHERE key = ?", (key,)).fetchone()
        if row is None:
            if self._series_count >= MAX_SERIES:
                raise LineError(f"max series limit exceeded ({MAX_SERIES}): a tag holds something unbounded")
            cursor = self._connection.execute(
                "INSERT INTO series (key, instance) VALUES (?, ?)", (key, instance if special else None)
            )
            row = (cursor.lastrowid,)
            self._series_count += 1
        fresh[head] = series = _Series(row[0], measurement, instance, tags if special else None)
        return series

    def _note(self, reports: Iterable[DriftReport]) -> None:
        """Keeps the newest report of each instance, and the history of its seal and sequence."""
        best: dict[str, DriftReport] = {}
        seals: list[tuple[str, int, str, str, int]] = []
        seqs: list[tuple[str, int, int, int, str]] = []
        latches: list[tuple[str, int, int | None, int | None, int]] = []
        for report in reports:
            known = best.get(report.instance)
            if known is None or is_newer(report, known):
                best[report.instance] = report
            if report.sealed > 0:
                seals.append((report.instance, report.sealed, report.seal, report.boot_id, report.time))
                if report.state in ("drifted", "tainted"):
                    latches.append((report.instance, report.sealed, report.seq, None, report.time))
                elif report.state == "clean":
                    latches.append((report.instance, report.sealed, None, report.seq, report.time))
            # Under one seal no boot excuses a second time.
            boot_id = "" if report.sealed > 0 else report.boot_id
            seqs.append((report.instance, max(0, report.sealed), report.seq, report.time, boot_id))
        connection = self._connection
        connection.executemany(
            "INSERT INTO seal VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET first = excluded.first"
            " WHERE excluded.first < first",
            seals,
        )
        connection.executemany(
            "INSERT INTO seq (instance, sealed, seq, time, boot_id) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET again = excluded.time, new_boot = boot_id != excluded.boot_id"
            " WHERE time != excluded.time AND (again IS NULL OR boot_id = excluded.boot_id)",
            seqs,
        )
        connection.executemany(_UPSERT_LATCH, latches)
        rows = []
        for instance, report in best.items():
            row = connection.execute("SELECT time, sealed, seq FROM newest WHERE instance = ?", (instance,)).fetchone()
            if row is None or is_newer(report, Stamp(*row)):
                rows.append(_columns(report))
        connection.executemany(_UPSERT_NEWEST, rows)


def _lock(path: str) -> int:
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}.lock: cannot be opened: {error.strerror}; check the rights of its folder") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise LockHeldError(
            f"{path}: another server writes this store; stop it, or name another with --database"
        ) from None
    return descriptor


def _check_binding(series: _Series, bound_to: str) -> None:
    if (series.tags is not None or series.instance) and series.instance != bound_to:
        raise LineError(f"this token may write only as instance {bound_to!r}")


def _check_types(measurement: str, text: str) -> dict[str, FieldValue]:
    """The fields of a report or an item: a type that flips would be a report that no reader understands."""
    values = fields_of(text)
    declared = _DECLARED[measurement].fields
    for name, value in values.items():
        if name in declared and type(value) is not _TYPES[declared[name].type]:
            raise LineError(f"field type conflict: {name!r} of {measurement!r} is declared {declared[name].type!r}")
    return values
