"""The spool: what it promises of order, bounds, offsets, and of a file that is damaged or cannot be written."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drift_agent.config import OutputOptions, SpoolOptions
from drift_agent.errors import InputError
from drift_agent.model import LANES, Lane
from drift_agent.ship import rows
from drift_agent.ship.batch import Batch
from drift_agent.ship.database import DamagedError, Database
from drift_agent.ship.spool import Spool
from fakes import FakeClock

A = OutputOptions(url="http://a.example:8086")
B = OutputOptions(url="http://b.example:8086", lanes=("drift", "logs"))
MANY = 1 << 30


@contextmanager
def opened(
    folder: Path, *outputs: OutputOptions, max_bytes: int = 64 << 20, clock: FakeClock | None = None
) -> Iterator[Spool]:
    options = SpoolOptions(max_bytes=max_bytes, max_age=3600.0)
    spool = Spool.open(folder / "spool.db", options, outputs or (A,), clock or FakeClock())
    try:
        yield spool
    finally:
        spool.close()


def texts(batches: Sequence[Batch]) -> list[str]:
    return [text.decode(errors="replace") for batch in batches for text in batch.split()]  # a damaged file may hold any


def take(spool: Spool, lane: Lane = "metrics", output: OutputOptions = A) -> list[str]:
    return texts(spool.take(output.label, lane, MANY, MANY))


def files(folder: Path) -> int:
    return sum(os.stat(path).st_size for path in folder.iterdir() if path.name.startswith("spool.db"))


def test_what_was_put_is_taken_newest_first_and_again_until_it_is_acknowledged(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.put({"metrics": ["m v=1 1", "m v=2 2"], "drift": ["d v=1 1"]})
        spool.put({"metrics": ["m v=3 3"]})
        assert take(spool) == ["m v=3 3", "m v=1 1", "m v=2 2"]
        assert take(spool) == ["m v=3 3", "m v=1 1", "m v=2 2"]
        spool.ack(A.label, spool.take(A.label, "metrics", 1, MANY))
        assert take(spool) == ["m v=1 1", "m v=2 2"]
        assert take(spool, "drift") == ["d v=1 1"]


def test_what_waits_survives_a_new_start(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.put({"logs": ["l v=1 1"]}, offsets={"/var/log/a": b"17"})
    with opened(tmp_path) as spool:
        assert take(spool, "logs") == ["l v=1 1"]
        assert spool.offsets() == {"/var/log/a": b"17"}
        spool.put({}, offsets={"/var/log/a": b"", "/var/log/b": b"3"})
        assert spool.offsets() == {"/var/log/b": b"3"}


def test_each_output_is_owed_its_lanes_and_acknowledges_for_itself(tmp_path: Path) -> None:
    with opened(tmp_path, A, B) as spool:
        spool.put({"metrics": ["m v=1 1"], "drift": ["d v=1 1"]})
        assert take(spool, "metrics", B) == []
        spool.ack(B.label, spool.take(B.label, "drift", MANY, MANY))
        assert take(spool, "drift", B) == []
        assert take(spool, "drift", A) == ["d v=1 1"]
        spool.ack(A.label, spool.take(A.label, "drift", MANY, MANY))
        assert spool.stats().lanes["drift"].points == 0


def test_limits_of_a_take_hold_but_for_the_first_batch(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        for n in range(5):
            spool.put({"metrics": [f"m v={n} {n}"] * 3})
        assert len(spool.take(A.label, "metrics", 1, MANY)) == 1
        assert len(spool.take(A.label, "metrics", 7, MANY)) == 2
        assert len(spool.take(A.label, "metrics", MANY, 25)) == 1
        newest = spool.take(A.label, "metrics", 1, MANY)[0]
        assert newest.id not in [batch.id for batch in spool.take(A.label, "metrics", MANY, MANY, {newest.id})]


def test_lines_that_no_output_takes_are_not_kept(tmp_path: Path) -> None:
    with opened(tmp_path, B) as spool:
        assert spool.put({"metrics": ["m v=1 1"]}, offsets={"a": b"1"})
        assert spool.stats().lanes["metrics"].points == 0
        assert spool.offsets() == {"a": b"1"}


def test_stats_count_points_bytes_and_the_oldest_point(tmp_path: Path) -> None:
    with opened(tmp_path, A, B) as spool:
        spool.put({"logs": ["l v=1 5", "l v=1 3"]})
        spool.put({"logs": ["l v=1 9"]})
        stats = spool.stats()
        assert (stats.lanes["logs"].points, stats.lanes["logs"].bytes, stats.lanes["logs"].oldest) == (3, 24, 3)
        assert {label: lanes["logs"].points for label, lanes in stats.outputs.items()} == {A.label: 3, B.label: 3}


def test_an_output_that_is_renamed_takes_over_what_waited(tmp_path: Path) -> None:
    with opened(tmp_path, A) as spool:
        spool.put({"metrics": ["m v=1 1"], "drift": ["d v=1 1"]})
    with opened(tmp_path, B) as spool:
        assert take(spool, "drift", B) == ["d v=1 1"]
        assert spool.stats().lanes["metrics"].points == 0  # nobody takes metrics any more


def test_a_lane_that_an_output_no_longer_takes_does_not_wait_for_it(tmp_path: Path) -> None:
    with opened(tmp_path, A) as spool:
        spool.put({"metrics": ["m v=1 1"], "drift": ["d v=1 1"]})
    with opened(tmp_path, OutputOptions(url=A.url, lanes=("drift",))) as spool:
        assert {lane: waiting.points for lane, waiting in spool.stats().lanes.items()} == {
            "drift": 1,
            "logs": 0,
            "metrics": 0,
        }


def test_without_any_output_what_waits_goes_on_waiting(tmp_path: Path) -> None:
    with opened(tmp_path, A) as spool:
        spool.put({"drift": ["d v=1 1"]})
    spool = Spool.open(tmp_path / "spool.db", SpoolOptions(), (), FakeClock())
    spool.close()
    with opened(tmp_path, A) as spool:
        assert take(spool, "drift") == ["d v=1 1"]


# ---------------------------------------------------------------------------------------------------------- bounds


def test_what_the_cap_drops_is_the_oldest_of_the_lowest_lane_and_is_counted(tmp_path: Path) -> None:
    with opened(tmp_path, A, B, max_bytes=1 << 20) as spool:
        spool.put({"drift": ["d v=1 1"], "logs": ["l v=1 1"]})
        made = 0
        for n in range(400):
            spool.put({"metrics": [f'm s="{"x" * 9000}" {n}']})
            made += 1
        stats = spool.stats()
        kept = take(spool)
        assert stats.lanes["drift"].points == stats.lanes["logs"].points == 1
        assert 50 < len(kept) < made
        assert kept[0].endswith(" 399")
        assert kept[-1].endswith(f" {made - len(kept)}")
        assert stats.dropped == {A.label: made - len(kept), B.label: 0}


def test_logs_go_before_drift_does(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=1 << 20) as spool:
        for n in range(200):
            spool.put({"logs": [f'l s="{"x" * 9000}" {n}']})
        spool.put({"metrics": ["m v=1 1"]})
        for n in range(200):
            spool.put({"drift": [f'd s="{"x" * 9000}" {n}']})
        stats = spool.stats()
        assert stats.lanes["logs"].points == stats.lanes["metrics"].points == 0
        assert stats.lanes["drift"].points > 50


def test_what_is_older_than_the_cap_of_age_is_dropped_and_counted(tmp_path: Path) -> None:
    clock = FakeClock()
    with opened(tmp_path, clock=clock) as spool:
        spool.put({"drift": ["d v=1 1"]})
        clock.advance(3000)
        spool.put({"drift": ["d v=2 2"]})
        clock.advance(1000)
        spool.put({"metrics": ["m v=1 1"]})
        assert take(spool, "drift") == ["d v=2 2"]
        assert spool.stats().dropped == {A.label: 1}


@pytest.mark.parametrize(("size", "per_put"), [(60, 100), (700, 3), (2100, 1), (2100, 20), (20_000, 20)])
def test_the_files_stay_below_one_and_a_half_times_the_cap_and_shrink_again(
    tmp_path: Path, size: int, per_put: int
) -> None:
    most, clock = 0, FakeClock()
    with opened(tmp_path, max_bytes=1 << 20, clock=clock) as spool:
        for n in range(max(20, 2_000_000 // (size * per_put))):
            spool.put(
                {"metrics": [f'm s="{"x" * size}" {n * per_put + i}' for i in range(per_put)]}, offsets={"a": b"%d" % n}
            )
            most = max(most, files(tmp_path))
        assert 0.6 * (1 << 20) < most < 1.5 * (1 << 20)
        while batches := spool.take(A.label, "metrics", 5000, 1 << 18):
            spool.ack(A.label, batches)
        clock.advance(60)
        spool.put({"metrics": ["m v=1 1"]})
        spool.ack(A.label, spool.take(A.label, "metrics", 1, MANY))
        assert files(tmp_path) < 600_000


def test_one_put_that_is_larger_than_the_cap_is_bounded_too(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=1 << 20) as spool:
        assert spool.put({"metrics": [f'm s="{"x" * 1000}" {n}' for n in range(5000)]}, offsets={"a": b"1"})
        assert files(tmp_path) < 1.5 * (1 << 20)
        stats = spool.stats()
        assert stats.lanes["metrics"].points + stats.dropped[A.label] == 5000
        assert spool.offsets() == {"a": b"1"}


# ---------------------------------------------------------------------------------------------------- a damaged file


def damage(path: Path) -> None:
    """Overwrites the middle of the file, past its header."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def test_a_damaged_file_is_set_aside_whole_and_a_new_one_begun(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        for n in range(100):
            spool.put({"metrics": [f"m v={n} {n}"] * 50})
    damage(tmp_path / "spool.db")
    before = (tmp_path / "spool.db").read_bytes()
    with opened(tmp_path) as spool:
        assert spool.put({"metrics": ["m v=1 1"]})
        assert take(spool) == ["m v=1 1"]
        (aside,) = spool.stats().damaged
    assert Path(aside).read_bytes() == before


def test_damage_while_the_agent_runs_costs_what_was_in_the_file_and_no_more(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.put({"metrics": [f'm s="{"x" * 500}" {n}' for n in range(8000)]})
        spool._file.opened().truncate_log()
        damage(tmp_path / "spool.db")
        take(spool)
        assert spool.stats().damaged
        assert spool.put({"metrics": ["m v=7 777"]})
        assert take(spool)[0] == "m v=7 777"


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "spool.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="schema 99"), opened(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir() if "damaged" in path.name] == []


# ---------------------------------------------------------------------------------- a file that cannot be written


def fill(spool: Spool) -> None:
    """As a full disk: no page can be added (SQLite answers SQLITE_FULL)."""
    database = spool._file.opened()
    database.rows(f"PRAGMA max_page_count = {database.number('PRAGMA page_count')}")


def free(spool: Spool) -> None:
    spool._file.opened().rows("PRAGMA max_page_count = 1000000")
    spool._clock.wait(Event(), 1.0)  # a file that failed is left in peace for a moment


def until_full(spool: Spool) -> None:
    fill(spool)
    for n in range(2000):
        spool.put({"metrics": [f'full s="{"x" * 500}" {n}']})
        if not spool.writable:
            return
    raise AssertionError("it never became full")


def test_on_a_full_disk_lines_wait_in_memory_and_reach_the_file_afterwards(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        until_full(spool)
        assert spool.put({"drift": ["d v=1 1"]})
        assert take(spool, "drift") == ["d v=1 1"]  # it can leave all the same
        assert spool.stats().lanes["drift"].points == 1
        free(spool)
        assert spool.put({"drift": ["d v=2 2"]})
        assert spool.writable
        assert take(spool, "drift") == ["d v=2 2", "d v=1 1"]
    with opened(tmp_path) as spool:
        assert take(spool, "drift") == ["d v=2 2", "d v=1 1"]


def test_damage_that_shows_while_batches_are_taken_gives_none_of_them_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest_first = rows.newest_first
    asked: list[str] = []

    @contextmanager
    def damaged_at_first(database: Database, output: int, lane: Lane) -> Iterator[Iterator[Batch]]:
        asked.append(lane)
        with newest_first(database, output, lane) as stored:
            yield stored if len(asked) > 1 else map(damaged, stored)

    def damaged(_: Batch) -> Batch:
        raise DamagedError("malformed")

    with opened(tmp_path) as spool:
        spool.put({"drift": ["d v=0 0"]})
        until_full(spool)
        spool.put({"drift": ["d v=1 1"]})
        monkeypatch.setattr(rows, "newest_first", damaged_at_first)
        assert take(spool, "drift") == ["d v=1 1"]
        assert spool.stats().damaged


def test_on_a_full_disk_log_lines_are_not_taken_for_their_file_is_the_buffer(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        until_full(spool)
        assert not spool.put({"logs": [f"l v=1 {n}" for n in range(1000)]}, offsets={"a": b"9"})
        assert take(spool, "logs") == []
        assert spool.offsets() == {}


def test_what_is_acknowledged_on_a_full_disk_is_not_sent_again(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.put({"drift": ["d v=0 0"]})
        until_full(spool)
        spool.put({"drift": ["d v=1 1"]})
        spool.ack(A.label, spool.take(A.label, "drift", MANY, MANY))
        assert take(spool, "drift") == []
        assert spool.stats().lanes["drift"].points == 0
        free(spool)
        spool.put({"metrics": ["m v=1 1"]})
        assert take(spool, "drift") == []
    with opened(tmp_path) as spool:
        assert take(spool, "drift") == []


def test_a_full_disk_is_complained_of_once_and_not_over_until_it_was_well_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        return [record.message for record in caplog.records if "written" in record.message]

    with caplog.at_level("WARNING"), opened(tmp_path) as spool:
        spool.put({"drift": ["d v=0 0"]})
        until_full(spool)
        spool.ack(A.label, spool.take(A.label, "drift", MANY, MANY))
        assert not spool.writable  # something could be deleted: that is not to be written
        for _ in range(3):
            free(spool)
            spool.put({"metrics": ["m v=1 1"]})
            until_full(spool)
        assert len(said()) == 1
        free(spool)
        spool._clock.wait(Event(), 10.0)
        spool.put({"metrics": ["m v=1 1"]})
        assert len(said()) == 2
        assert said()[1].endswith("can be written again")


def test_memory_is_bounded_on_a_full_disk_and_what_it_drops_is_counted(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        until_full(spool)
        spool.put({"drift": ["d v=1 1"]})
        before = sum(spool.stats().dropped.values())
        for n in range(600):
            spool.put({"metrics": [f'm s="{"x" * 10_000}" {n}']})
        stats = spool.stats()
        assert stats.lanes["metrics"].bytes < 8 << 20
        assert sum(stats.dropped.values()) - before > 150
        assert take(spool, "drift") == ["d v=1 1"]


def test_a_folder_that_cannot_be_written_at_the_start_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    clock = FakeClock()
    with opened(folder, clock=clock) as spool:
        assert spool.put({"drift": ["d v=1 1"]})
        assert take(spool, "drift") == ["d v=1 1"]
        assert not spool.stats().writable
        folder.mkdir()
        clock.advance(1.0)
        assert spool.put({"drift": ["d v=2 2"]})
        assert spool.writable
    with opened(folder) as spool:
        assert take(spool, "drift") == ["d v=2 2", "d v=1 1"]


@example(wounds=[(0.5851952019560316, b"\x80")], cut=None)
@settings(max_examples=40, deadline=None)
@given(
    wounds=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=64)), min_size=1),
    cut=st.none() | st.floats(0, 1),
)
def test_no_damage_whatever_stops_the_agent(wounds: list[tuple[float, bytes]], cut: float | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "spool.db"
        with opened(Path(name)) as spool:
            for n in range(30):
                spool.put({"metrics": [f"m v={n} {n}"] * 60, "drift": [f"d v={n} {n}"]}, offsets={"a": b"%d" % n})
        content = bytearray(path.read_bytes())
        for place, data in wounds:
            start = int(place * len(content))
            content[start : start + len(data)] = data[: len(content) - start]
        path.write_bytes(content if cut is None else content[: int(cut * len(content))])
        with opened(Path(name)) as spool:
            assert spool.put({"drift": ["d v=1 777"]}, offsets={"b": b"1"})
            spool.offsets()
            spool.stats()
            assert "d v=1 777" in take(spool, "drift")
            for lane in LANES:
                spool.ack(A.label, spool.take(A.label, lane, MANY, MANY))
