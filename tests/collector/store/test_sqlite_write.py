"""The embedded store's writer: what it stores, refuses, forgets, and keeps apart."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drift_agent.errors import LockHeldError, StoreError
from drift_collector.store.lines import BadLine, fields_of
from drift_collector.store.sqlite import SqliteStore
from drift_collector.store.sqlite_file import open_file
from drift_collector.store.sqlite_write import SqliteWriter
from drift_collector.store.tokens import Tokens
from reports import NOW, SECOND, item, report
from stores import checked, lines, rows
from waiting import wait_until

DAY = 86_400 * SECOND
EVER = 2**63 - 2


def rows_elsewhere(path: str, query: str) -> str:
    """What another process sees in the file, which closes it as the last one would."""
    program = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); print(*db.execute(sys.argv[2]).fetchone())"
    output = subprocess.run([sys.executable, "-c", program, path, query], capture_output=True, text=True, check=True)
    return output.stdout.strip()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "data" / "store.db")


@pytest.fixture
def writer(path: str) -> Iterator[SqliteWriter]:
    writer = SqliteWriter(path)
    yield writer
    writer.close()


def points(path: str) -> list[tuple[object, ...]]:
    return rows(
        path, "SELECT s.key, p.time, p.fields FROM metric_point p JOIN series s ON s.id = p.series ORDER BY 2, 1"
    )


def test_points_keep_their_text_and_one_series_is_one_in_whatever_order_its_tags_stood(
    writer: SqliteWriter, path: str
) -> None:
    assert writer.write(checked('cpu,host=a,cpu=0 idle=1.50,n=2i 5\ncpu,cpu=0,host=a s="x y" 6')) == []
    assert points(path) == [("cpu,cpu=0,host=a", 5, "idle=1.50,n=2i"), ("cpu,cpu=0,host=a", 6, 's="x y"')]


def test_a_point_written_twice_is_one_and_one_written_in_parts_has_them_all(writer: SqliteWriter, path: str) -> None:
    for text in ("m a=1 5", "m a=1 5", "m b=2 5", "m a=3 5", "m b=2 5"):
        writer.write(checked(text))
    ((_, _, fields),) = points(path)
    assert fields_of(str(fields)) == {"a": 3, "b": 2}


def test_a_point_that_stands_twice_in_one_batch_is_one(writer: SqliteWriter, path: str) -> None:
    writer.write(checked("m a=1 5\nm a=1 5\nm b=2 5"))
    assert len(points(path)) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("m,a=1,a=2 f=1 5", "duplicate tag"),
        ('drift,host=h state="clean" 5', "needs the tag 'instance'"),
        ('drift_item,host=h key="x" 5', "needs the tag 'instance'"),
        ("drift,instance=i state=1i 5", "field type conflict: 'state'"),
        ("drift,instance=i seq=1 5", "field type conflict: 'seq'"),
        ('drift_item,instance=i report="x" 5', "field type conflict: 'report'"),
    ],
)
def test_what_it_refuses_is_named_and_the_rest_is_stored(
    writer: SqliteWriter, path: str, text: str, reason: str
) -> None:
    (bad,) = writer.write(checked(f"good f=1 4\n{text}\nalso f=1 6"))
    assert bad == BadLine(text, bad.reason)
    assert reason in bad.reason
    assert [key for key, _, _ in points(path)] == ["good", "also"]


def test_fields_that_a_newer_agent_sends_are_no_error(writer: SqliteWriter, path: str) -> None:
    assert writer.write(checked('drift,instance=i state="clean",novelty=1i 5')) == []


def test_a_bound_token_writes_only_as_its_instance(writer: SqliteWriter, path: str) -> None:
    text = lines([report("mine"), report("theirs")], [item("theirs")])
    bad = writer.write(checked(text + "\ncpu,host=x f=1 5\ncpu,instance=theirs f=1 5\ncpu,instance=mine f=1 6"), "mine")
    assert len(bad) == 3
    assert all("only as instance 'mine'" in each.reason for each in bad)
    store = SqliteStore(path)
    assert [each.instance for each in store.newest(0, EVER)] == ["mine"]
    assert [key for key, _, _ in points(path)] == ["cpu,host=x", "cpu,instance=mine"]
    store.close()


def test_a_binding_holds_for_a_series_that_another_token_wrote_first(writer: SqliteWriter) -> None:
    line = checked(lines([report("theirs")]))
    assert writer.write(line) == []
    assert len(writer.write(line, "mine")) == 1


def test_the_newest_report_is_the_same_in_whatever_order_they_come(writer: SqliteWriter, path: str) -> None:
    sent = [report("i-1", time=NOW + n * SECOND, seq=n) for n in range(1, 6)]
    for order in ((4, 0, 2), (1, 3)):
        writer.write(checked("\n".join(lines([sent[n]]) for n in order)))
    store = SqliteStore(path)
    assert list(store.newest(0, EVER)) == [sent[4]]
    assert list(store.newest(0, sent[2].time)) == [sent[2]]
    store.close()


def test_reports_are_read_while_others_write(writer: SqliteWriter, path: str) -> None:
    """Readers see whole batches: a report's items are there with it."""
    stop, faults = threading.Event(), list[BaseException]()

    def write(name: str) -> None:
        try:
            seq = 0
            while not stop.is_set():
                seq += 1
                stamp = NOW + seq
                batch = [report(name, time=stamp, seq=seq, state="drifted", report=stamp)]
                assert not writer.write(checked(lines(batch, [item(name, time=stamp, report=stamp)])))
        except BaseException as fault:  # the main thread must see it
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(f"i-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    store = SqliteStore(path)
    try:
        wait_until(lambda: bool(faults) or len(list(store.newest(0, EVER))) == 3)
        for _ in range(30):
            for each in store.newest(0, EVER):
                assert len(store.items(each)) == 1
                assert each.resets == ()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        store.close()
    assert not faults


def test_whoever_reads_the_store_from_another_program_leaves_the_server_its_log(
    writer: SqliteWriter, path: str
) -> None:
    """The last one out removes SQLite's log: a server that had lost its locks would go on writing into nothing."""
    tokens = Tokens(path)
    try:
        for second in range(3):
            assert not writer.write(checked(f"m f=1 {second}"))
            assert rows_elsewhere(path, "SELECT count(*) FROM metric_point") == f"{second + 1}"
            assert Path(f"{path}-wal").exists()
    finally:
        tokens.close()


def test_a_second_writer_is_kept_out(writer: SqliteWriter, path: str) -> None:
    with pytest.raises(LockHeldError, match="another server writes this store"):
        SqliteWriter(path)
    writer.close()
    SqliteWriter(path).close()


def test_a_batch_that_fails_leaves_nothing_and_the_next_one_is_taken(writer: SqliteWriter, path: str) -> None:
    limited = sqlite3.connect(path)
    (pages,) = limited.execute("PRAGMA page_count").fetchone()
    limited.close()
    writer._connection.execute(f"PRAGMA max_page_count = {pages + 5}")
    big = "\n".join(f'm,n={n} f="{"x" * 1000}" {n}' for n in range(500))
    with pytest.raises(StoreError, match="disk is full"):
        writer.write(checked("fresh f=1 1\n" + big))
    assert points(path) == []
    writer._connection.execute("PRAGMA max_page_count = 100000")
    assert writer.write(checked("fresh f=1 1")) == []
    assert [key for key, _, _ in points(path)] == ["fresh"]


def test_series_without_bound_are_refused_and_known_ones_still_taken(
    writer: SqliteWriter, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drift_collector.store.sqlite_write.MAX_SERIES", 2)
    bad = writer.write(checked("m,t=1 f=1 1\nm,t=2 f=1 1\nm,t=3 f=1 1\nm,t=1 f=1 2"))
    assert [(each.text, "max series" in each.reason) for each in bad] == [("m,t=3 f=1 1", True)]


def test_what_is_acknowledged_outlives_the_writer(path: str) -> None:
    writer = SqliteWriter(path)
    writer.write(checked("m f=1 5"))
    assert len(points(path)) == 1
    writer.close()
    again = SqliteWriter(path)
    again.write(checked("m f=1 6"))
    again.close()
    assert [time for _, time, _ in points(path)] == [5, 6]


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database\n" * 100)
    with pytest.raises(StoreError, match="is not an SQLite database"):
        SqliteWriter(str(text))
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="of something else"):
        SqliteWriter(str(other))
    assert rows(str(other), "SELECT name FROM sqlite_master") == [("theirs",)]


def test_a_store_of_another_version_says_so(writer: SqliteWriter, path: str) -> None:
    writer._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="has version 99"):
        SqliteStore(path)


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be written: .*; name another place with --database"):
        SqliteWriter(str(tmp_path / "file" / "store.db"))


def test_a_store_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store yet; start `drift serve`"):
        SqliteStore(str(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_still_empty_is_no_store_yet(tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()
    with pytest.raises(StoreError, match="no store yet"):
        SqliteStore(str(tmp_path / "new.db"))


def test_many_who_make_the_same_store_at_once_make_one(path: str) -> None:
    faults: list[BaseException] = []

    def make() -> None:
        try:
            open_file(path, create=True).close()
        except BaseException as fault:  # the main thread must see it
            faults.append(fault)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert rows(path, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'newest'") == [(1,)]


def test_the_store_is_for_its_owner_alone(writer: SqliteWriter, path: str) -> None:
    assert Path(path).stat().st_mode & 0o077 == 0
    assert Path(path).parent.stat().st_mode & 0o077 == 0
