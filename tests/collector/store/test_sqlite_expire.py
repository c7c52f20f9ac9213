"""Retention: what is older goes, with all that only it needed; the rest stays."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drift_collector.store.sqlite_expire import expire
from drift_collector.store.sqlite_write import SqliteWriter
from reports import NOW, SECOND, item, report
from stores import checked, lines, rows

DAY = 86_400 * SECOND


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
def writer(path: str) -> Iterator[SqliteWriter]:
    writer = SqliteWriter(path)
    yield writer
    writer.close()


def test_expiry_forgets_what_is_older_and_keeps_the_rest(writer: SqliteWriter, path: str) -> None:
    old, young = NOW - 10 * DAY, NOW - DAY
    writer.write(checked(f"cpu,host=old f=1 {old}\ncpu,host=young f=1 {young}"))
    writer.write(
        checked(lines([report("i-1", time=old), report("i-2", time=NOW - 100 * DAY)], [item("i-1", time=old)]))
    )
    assert expire(writer, NOW - 7 * DAY, NOW - 90 * DAY) == 2
    assert rows(path, "SELECT s.key FROM metric_point p JOIN series s ON s.id = p.series") == [("cpu,host=young",)]
    assert rows(path, "SELECT count(*) FROM drift_point") == [(2,)]
    assert rows(path, "SELECT instance FROM newest") == rows(path, "SELECT DISTINCT instance FROM seal") == [("i-1",)]
    assert rows(path, "SELECT count(*) FROM series") == [(3,)]
    assert writer.write(checked(f"cpu,host=old f=1 {young}")) == []
    assert len(rows(path, "SELECT 1 FROM metric_point")) == 2


def test_expiry_gives_space_back(writer: SqliteWriter, path: str) -> None:
    text = "\n".join(f'm,n={n} f="{"x" * 1000}" {n}' for n in range(3000))
    writer.write(checked(text))
    (before,) = rows(path, "PRAGMA page_count")
    expire(writer, 5000, 5000)
    (after,) = rows(path, "PRAGMA page_count")
    assert int(str(after[0])) < int(str(before[0])) / 4


def test_expiry_stops_when_it_is_told_to(writer: SqliteWriter, path: str) -> None:
    writer.write(checked("m f=1 5"))
    stop = threading.Event()
    stop.set()
    assert expire(writer, 10, 10, stop) == 0
    assert len(rows(path, "SELECT 1 FROM metric_point")) == 1
