"""A tail reads each whole record once, however the log is rotated."""

import os
from pathlib import Path

import pytest

from drift_agent.drift import tail
from drift_agent.drift.tail import Tail


def read(reader: Tail) -> bytes:
    return b"".join(reader.read())


def test_records_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "wtmp"
    reader = Tail(str(path), 4)
    assert read(reader) == b""
    path.write_bytes(b"aaaabbbbcc")
    assert read(reader) == b"aaaabbbb"
    with path.open("ab") as file:
        file.write(b"ccdddd")
    assert read(reader) == b"ccccdddd"


def test_a_log_that_was_cut_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    reader = Tail(str(path))
    assert read(reader) == b"one\ntwo\n"
    path.write_bytes(b"three\n")
    assert read(reader) == b"three\n"


@pytest.mark.parametrize("since", [b"3\n", b"three\n", b"three and more than there was before\n"])
def test_what_was_appended_before_a_log_was_copied_and_cut_is_in_the_copy(tmp_path: Path, since: bytes) -> None:
    """However much stands in it again, and whichever other logs were rotated before."""
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    (tmp_path / "log.2").write_bytes(b"older\nlogs\n")
    reader = Tail(str(path))
    assert read(reader) == b"older\nlogs\none\n"
    with path.open("ab") as file:
        file.write(b"two\n")
    (tmp_path / "log.1").write_bytes(path.read_bytes())
    path.write_bytes(since)
    os.utime(tmp_path / "log.2")
    assert read(reader) == b"two\n" + since
    assert read(reader) == b""


@pytest.mark.parametrize("name", ["log.1", "log-20260102", "log-20260102-1767315600"])
def test_what_was_rotated_away_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    reader = Tail(str(path))
    assert read(reader) == b"one\n"
    with path.open("ab") as file:
        file.write(b"two\n")
    path.rename(tmp_path / name)
    path.write_bytes(b"three\n")
    assert read(reader) == b"two\nthree\n"


def test_the_newest_rotated_file_is_read_first(tmp_path: Path) -> None:
    for second, name in enumerate(["log.3", "log.2", "log.1", "log.gz", "log.1.gz", "log.db"]):
        (tmp_path / name).write_text(f"{name}\n")
        os.utime(tmp_path / name, (second, second))
    (tmp_path / "log").write_text("log\n")
    assert read(Tail(str(tmp_path / "log"))) == b"log.1\nlog\n"


def test_a_large_log_is_read_whole_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "BLOCK_BYTES", 10)
    path = tmp_path / "log"
    content = b"".join(b"%03d\n" % number for number in range(100))
    path.write_bytes(content)
    blocks = list(Tail(str(path), 4).read())
    assert b"".join(blocks) == content
    assert max(len(block) for block in blocks) == 8
    assert read(Tail(str(path))) == content


def test_of_a_line_longer_than_a_block_no_part_is_taken_for_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "BLOCK_BYTES", 8)
    path = tmp_path / "log"
    path.write_bytes(b"one\n" + b"x" * 21 + b"evil\ntwo\n")
    reader = Tail(str(path))
    assert read(reader) == b"one\ntwo\n"
    with path.open("ab") as file:
        file.write(b"y" * 16)
    assert read(reader) == b""
    with path.open("ab") as file:
        file.write(b"evil\nfour\n")
    assert read(reader) == b"four\n"


def test_a_fifo_of_that_name_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    assert read(Tail(str(tmp_path / "log"))) == b""
