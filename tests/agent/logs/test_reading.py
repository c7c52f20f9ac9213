"""Reading on in a file: whole records, each once, whatever its end looks like."""

import json
from pathlib import Path

from drift_agent.logs.lines import MAX_RECORD_BYTES, compile_start
from drift_agent.logs.reading import BLOCK_BYTES, DELETED_IDLE, MULTILINE_WAIT
from tail_reader import TailReader


def test_a_partial_last_line_waits(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntw")
    reader = TailReader(log)
    assert reader.poll() == ["one"]
    assert reader.poll() == []
    with log.open("a") as file:
        file.write("o\n")
    reader.crash()
    assert reader.poll() == ["two"]


def test_the_partial_last_line_of_a_deleted_file_comes_at_its_end(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo")
    reader = TailReader(log)
    reader.poll()
    log.unlink()
    assert reader.poll() == []
    reader.now += DELETED_IDLE
    assert reader.poll() == ["two"]
    assert json.loads(reader.tail.state())["files"] == []  # and its space is given back


def test_a_line_that_is_too_long_is_cut_and_counted_and_the_next_one_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("a" * (BLOCK_BYTES * 2) + "\n" + "b" * (MAX_RECORD_BYTES + 1) + "\nshort\n")
    reader = TailReader(log)
    assert [(line[0], len(line)) for line in reader.poll()] == [
        ("a", MAX_RECORD_BYTES),
        ("b", MAX_RECORD_BYTES),
        ("s", 5),
    ]
    assert reader.tail.cut == 2


def test_lines_that_a_start_pattern_holds_together_are_one_record(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("1 failed\n  at x\n  at y\n2 fine\n3 failed\n  at z\n")
    reader = TailReader(log, multiline=compile_start(r"\d"))
    assert reader.poll() == ["1 failed\n  at x\n  at y", "2 fine"]
    with log.open("a") as file:
        file.write("  at w\n")
    assert reader.poll() == []
    reader.now += MULTILINE_WAIT
    assert reader.poll() == ["3 failed\n  at z\n  at w"]


def test_a_backlog_comes_in_bounded_polls(tmp_path: Path) -> None:
    lines = [f"{number:07d}" for number in range(100_000)]
    (tmp_path / "a.log").write_text("\n".join(lines) + "\n")
    reader = TailReader(tmp_path / "a.log", max_poll_bytes=300_000)
    assert len(reader.poll()) < 80_000
    assert reader.tail.more
    reader.drain()
    assert reader.lines == lines


def test_zeros_before_the_first_line_are_no_part_of_it(tmp_path: Path) -> None:
    """A server that does not append writes on at its old place after copytruncate: the file begins with a hole."""
    log = tmp_path / "a.log"
    with log.open("wb") as file:
        file.seek(5000)
        file.write(b"line\n")
    assert TailReader(log).poll() == ["line"]
