"""Following files: no line is lost and none is given twice, whatever rotation does."""

import gzip
import os
import random
import shutil
import threading
import time
from pathlib import Path

import pytest

import rotation
from drift_agent.logs.tail import Tail
from tail_reader import TailReader
from waiting import PATIENCE


@pytest.mark.parametrize("pattern", ["access.log", "access.log*"])
@pytest.mark.parametrize("kind", rotation.KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_rotation_at_any_moment_loses_and_repeats_nothing(tmp_path: Path, kind: str, pattern: str, seed: int) -> None:
    """Polls, and restarts after kill -9, come at random between the steps of 30 rotations."""
    chance = random.Random(seed)
    writer = rotation.Writer(tmp_path / "access.log")
    reader = TailReader(tmp_path / pattern)
    reader.poll()

    def anything() -> None:
        writer.write(chance.randrange(1, 40))
        for _ in range(chance.randrange(3)):
            reader.poll()
            # Who is dead while a file is deleted cannot read it any more.
            if kind != "delete" and chance.random() < 0.2:
                reader.crash()
        if kind == "delete":
            reader.poll()

    for _ in range(30):
        anything()
        for _ in rotation.KINDS[kind](writer):
            anything()
        # A poll may miss a rotation, not five of them: then even the rotated file is gone.
        reader.poll()
    writer.close()
    reader.drain()
    assert sorted(reader.lines) == writer.lines


def test_files_that_are_there_at_the_first_start_begin_where_from_says(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\n")
    assert TailReader(log).poll() == ["one", "two"]
    assert TailReader(log, start="beginning").poll() == ["one", "two"]
    end = TailReader(log, start="end")
    assert end.poll() == []
    with log.open("a") as file:
        file.write("three\n")
    assert end.poll() == ["three"]


def test_the_end_of_a_file_without_a_last_newline_is_not_taken_for_a_line(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntw")
    reader = TailReader(log, start="end")
    assert reader.poll() == []
    with log.open("a") as file:
        file.write("o\nthree\n")
    assert reader.poll() == ["two", "three"]


def test_auto_reads_a_large_file_from_its_end_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("drift_agent.logs.tail.AUTO_BYTES", 10)
    (tmp_path / "a.log").write_text("one\ntwo\nthree\n")
    (tmp_path / "b.log").write_text("small\n")
    with caplog.at_level("INFO", "driftline.logs"):
        assert TailReader(tmp_path / "*.log").poll() == ["small"]
    assert "14 bytes were there already; reading from the end" in caplog.text


def test_a_file_that_appears_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    reader = TailReader(tmp_path / "*.log", start="end")
    assert reader.poll() == []
    (tmp_path / "a.log").write_text("one\n")
    assert reader.poll() == ["one"]
    (tmp_path / "b.log").write_text("two\n")
    reader.crash()
    assert reader.poll() == ["two"]


def test_archives_from_before_the_first_start_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("new\n")
    (tmp_path / "a.log.1").write_text("old\n")
    with gzip.open(tmp_path / "a.log.2.gz", "wb") as file:
        file.write(b"older\n")
    assert TailReader(tmp_path / "a.log").poll() == ["new"]
    assert sorted(TailReader(tmp_path / "a.log*").poll()) == ["new", "old"]


def test_a_generation_that_came_and_went_between_two_polls_is_read_where_it_lies_now(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    reader = TailReader(log)
    assert reader.poll() == ["one"]
    log.rename(tmp_path / "a.log.2")
    (tmp_path / "a.log.1").write_text("two\n")
    log.write_text("three\n")
    assert reader.poll() == ["two", "three"]


def test_a_copy_that_the_glob_matches_counts_nothing_twice(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    reader = TailReader(tmp_path / "a.log*")
    reader.poll()
    shutil.copy(log, tmp_path / "a.log.bak")
    shutil.copy(log, tmp_path / "a.log.copy")
    with gzip.open(tmp_path / "a.log.3.gz", "wb") as file:
        file.write(log.read_bytes())
    assert reader.poll() == []
    reader.crash()
    assert reader.poll() == []


def test_a_new_file_under_the_old_name_is_new_even_if_it_begins_like_the_old_one(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("banner\n")
    reader = TailReader(tmp_path / "a.log*")
    assert reader.poll() == ["banner"]
    log.rename(tmp_path / "a.log.1")
    log.write_text("banner\n")
    assert reader.poll() == ["banner"]


def test_an_inode_that_was_used_again_while_nobody_looked_is_another_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\nthree\n")
    reader = TailReader(log)
    reader.poll()
    reader.tail.close()
    state = reader.tail.state()
    with log.open("r+") as file:  # the same inode, as after deletion and re-creation
        file.truncate()
        file.write("four\nfive\nsix\nseven\n")
    reader.tail = Tail(str(log), restored=state)
    assert reader.poll() == ["four", "five", "six", "seven"]


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.log")
    (tmp_path / "b.log").mkdir()
    (tmp_path / "c.log").symlink_to("c.log")
    (tmp_path / "d.log").write_bytes(b"\xff\xfe\n")
    reader = TailReader(tmp_path / "*.log")
    reader.now = 1
    assert [record for chunk in reader.tail.poll(1.0) for _, record in chunk.records()] == [b"\xff\xfe"]


def test_offsets_that_cannot_be_read_are_said_and_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.log").write_text("one\n")
    for broken in (b"{", b"[]", b'{"files":[[1]],"next":0}'):
        assert len(Tail(str(tmp_path / "a.log"), restored=broken).poll(1.0)) == 1
    assert caplog.text.count("kept offsets cannot be read") == 3


def test_a_file_that_one_listing_missed_is_not_new_in_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a rotation in the middle of a listing has it."""
    log = tmp_path / "a.log"
    log.write_text("one\n")
    reader = TailReader(tmp_path / "a.log*")
    reader.poll()
    log.unlink()
    with gzip.open(tmp_path / "a.log.1.gz", "wb") as file:
        file.write(b"one\n")
    reader.crash()
    assert reader.poll() == []
    with monkeypatch.context() as patched:
        patched.setattr("drift_agent.logs.tail.list_files", lambda *_: [])
        assert reader.poll() == []
    assert reader.poll() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", rotation.KINDS)
def test_a_hundred_rotations_under_a_writer_of_5000_lines_a_second(tmp_path: Path, kind: str) -> None:
    """In real time: a thread writes and rotates while another polls, never more seldom than every tenth rotation."""
    writer = rotation.Writer(tmp_path / "access.log")
    reader = TailReader(tmp_path / "access.log*")
    reader.poll()
    stop = threading.Event()

    def write() -> None:
        rotations = 0
        begun = time.monotonic()
        while rotations < 100:
            due = int((time.monotonic() - begun) * 5000) - len(writer.lines)
            writer.write(max(0, due))
            if len(writer.lines) >= (rotations + 1) * 400:
                for _ in rotation.KINDS[kind](writer):
                    writer.write(5)
                if kind == "delete":  # a file that is gone before anybody saw it is read by nobody
                    writer.write(1)
                    wait_for_polls(2)
                rotations += 1
                if rotations % (rotation.KEPT // 2) == 0:  # what is rotated out of its sight nobody can read
                    wait_for_polls(2)
            time.sleep(0.001)
        stop.set()

    def wait_for_polls(count: int) -> None:
        seen, deadline = reader.now, time.monotonic() + PATIENCE
        while reader.now < seen + count:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    while not stop.is_set():
        reader.poll()
        time.sleep(0.005)
    thread.join()
    reader.drain()
    assert sorted(reader.lines) == writer.lines
