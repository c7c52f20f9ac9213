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
from drift_agent.logs.lines import MAX_RECORD_BYTES, compile_start
from drift_agent.logs.tail import BLOCK_BYTES, DELETED_IDLE, MULTILINE_WAIT, Tail
from waiting import PATIENCE


class Reader:
    """A tail and what it gave, with a clock of its own; `crash` goes back to what was kept last."""

    def __init__(self, pattern: str | Path, **options: object) -> None:
        self.pattern = str(pattern)
        self.options = options
        self.now = 0.0
        self.lines: list[str] = []
        self.kept: tuple[bytes | None, int] = (None, 0)
        self.tail = Tail(self.pattern, **options)  # type: ignore[arg-type]

    def poll(self) -> list[str]:
        """New lines; what was given is kept, as the spool's transaction does."""
        self.now += 1
        new = [line.decode() for chunk in self.tail.poll(self.now) for _, line in chunk.records()]
        self.lines += new
        self.kept = (self.tail.state(), len(self.lines))
        return new

    def drain(self) -> None:
        self.poll()
        while self.tail.more:
            self.poll()

    def crash(self) -> None:
        """kill -9 between reading and the transaction: what was read is read again, by a new process."""
        self.tail.poll(self.now)
        self.tail.close()
        state, count = self.kept
        del self.lines[count:]
        self.tail = Tail(self.pattern, restored=state, **self.options)  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", ["access.log", "access.log*"])
@pytest.mark.parametrize("kind", rotation.KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_rotation_at_any_moment_loses_and_repeats_nothing(tmp_path: Path, kind: str, pattern: str, seed: int) -> None:
    """Polls, and restarts after kill -9, come at random between the steps of 30 rotations."""
    chance = random.Random(seed)
    writer = rotation.Writer(tmp_path / "access.log")
    reader = Reader(tmp_path / pattern)
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
    assert Reader(log).poll() == ["one", "two"]
    assert Reader(log, start="beginning").poll() == ["one", "two"]
    end = Reader(log, start="end")
    assert end.poll() == []
    with log.open("a") as file:
        file.write("three\n")
    assert end.poll() == ["three"]


def test_the_end_of_a_file_without_a_last_newline_is_not_taken_for_a_line(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntw")
    reader = Reader(log, start="end")
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
        assert Reader(tmp_path / "*.log").poll() == ["small"]
    assert "14 bytes were there already; reading from the end" in caplog.text


def test_a_file_that_appears_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "*.log", start="end")
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
    assert Reader(tmp_path / "a.log").poll() == ["new"]
    assert sorted(Reader(tmp_path / "a.log*").poll()) == ["new", "old"]


def test_a_generation_that_came_and_went_between_two_polls_is_read_where_it_lies_now(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    reader = Reader(log)
    assert reader.poll() == ["one"]
    log.rename(tmp_path / "a.log.2")
    (tmp_path / "a.log.1").write_text("two\n")
    log.write_text("three\n")
    assert reader.poll() == ["two", "three"]


def test_a_partial_last_line_waits(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntw")
    reader = Reader(log)
    assert reader.poll() == ["one"]
    assert reader.poll() == []
    with log.open("a") as file:
        file.write("o\n")
    reader.crash()
    assert reader.poll() == ["two"]


def test_the_partial_last_line_of_a_deleted_file_comes_at_its_end(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo")
    reader = Reader(log)
    reader.poll()
    log.unlink()
    assert reader.poll() == []
    reader.now += DELETED_IDLE
    assert reader.poll() == ["two"]


def test_a_line_that_is_too_long_is_cut_and_counted_and_the_next_one_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("a" * (BLOCK_BYTES * 2) + "\n" + "b" * (MAX_RECORD_BYTES + 1) + "\nshort\n")
    reader = Reader(log)
    assert [(line[0], len(line)) for line in reader.poll()] == [
        ("a", MAX_RECORD_BYTES),
        ("b", MAX_RECORD_BYTES),
        ("s", 5),
    ]
    assert reader.tail.cut == 2


def test_lines_that_a_start_pattern_holds_together_are_one_record(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("1 failed\n  at x\n  at y\n2 fine\n3 failed\n  at z\n")
    reader = Reader(log, multiline=compile_start(r"\d"))
    assert reader.poll() == ["1 failed\n  at x\n  at y", "2 fine"]
    with log.open("a") as file:
        file.write("  at w\n")
    assert reader.poll() == []
    reader.now += MULTILINE_WAIT
    assert reader.poll() == ["3 failed\n  at z\n  at w"]


def test_a_backlog_comes_in_bounded_polls(tmp_path: Path) -> None:
    lines = [f"{number:07d}" for number in range(100_000)]
    (tmp_path / "a.log").write_text("\n".join(lines) + "\n")
    reader = Reader(tmp_path / "a.log", max_poll_bytes=300_000)
    assert len(reader.poll()) < 80_000
    assert reader.tail.more
    reader.drain()
    assert reader.lines == lines


def test_a_copy_that_the_glob_matches_counts_nothing_twice(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    reader = Reader(tmp_path / "a.log*")
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
    reader = Reader(tmp_path / "a.log*")
    assert reader.poll() == ["banner"]
    log.rename(tmp_path / "a.log.1")
    log.write_text("banner\n")
    assert reader.poll() == ["banner"]


def test_an_inode_that_was_used_again_while_nobody_looked_is_another_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\nthree\n")
    reader = Reader(log)
    reader.poll()
    reader.tail.close()
    state = reader.tail.state()
    with log.open("r+") as file:  # the same inode, as after deletion and re-creation
        file.truncate()
        file.write("four\nfive\nsix\nseven\n")
    reader.tail = Tail(str(log), restored=state)
    assert reader.poll() == ["four", "five", "six", "seven"]


def test_zeros_before_the_first_line_are_no_part_of_it(tmp_path: Path) -> None:
    """A server that does not append writes on at its old place after copytruncate: the file begins with a hole."""
    log = tmp_path / "a.log"
    with log.open("wb") as file:
        file.seek(5000)
        file.write(b"line\n")
    assert Reader(log).poll() == ["line"]


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.log")
    (tmp_path / "b.log").mkdir()
    (tmp_path / "c.log").symlink_to("c.log")
    (tmp_path / "d.log").write_bytes(b"\xff\xfe\n")
    reader = Reader(tmp_path / "*.log")
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
    reader = Reader(tmp_path / "a.log*")
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
    reader = Reader(tmp_path / "access.log*")
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
