"""A tail reads each whole record once, however the log is rotated."""

from pathlib import Path

import pytest

from drift_agent.drift import tail
from drift_agent.drift.tail import Tail


def test_records_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "wtmp"
    reader = Tail(str(path), 4)
    assert reader.read() == b""
    path.write_bytes(b"aaaabbbbcc")
    assert reader.read() == b"aaaabbbb"
    with path.open("ab") as file:
        file.write(b"ccdddd")
    assert reader.read() == b"ccccdddd"


def test_a_log_that_was_cut_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    reader = Tail(str(path))
    assert reader.read() == b"one\ntwo\n"
    path.write_bytes(b"three\n")
    assert reader.read() == b"three\n"


def test_of_a_large_log_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MAX_BYTES", 8)
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%03d\n" % number for number in range(100)))
    assert Tail(str(path), 4).read() == b"098\n099\n"


def test_a_fifo_of_that_name_holds_nobody(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "log")
    assert Tail(str(tmp_path / "log")).read() == b""
