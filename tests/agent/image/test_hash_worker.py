"""What is seen of a file in one piece: what a stat and a plain look say, and otherwise nothing, or an open file."""

import hashlib
import os
import socket
from array import array
from pathlib import Path
from threading import Thread

import pytest

from drift_agent.image.hash_worker import (
    BATCH,
    MAX_BATCH_BYTES,
    MAX_BYTES,
    MAX_MESSAGE,
    OPEN,
    RECORD,
    UNSEEN,
    WHOLE,
    look,
    look_at,
    message,
    serve,
    xattrs_of,
)
from trees import File, Link, make_tree


@pytest.fixture
def buffer() -> memoryview:
    return memoryview(bytearray(MAX_BYTES))


@pytest.fixture
def folder(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY)


@pytest.mark.parametrize("text", ["", "x", "x" * (MAX_BYTES - 1)])
def test_a_file_is_seen_whole_with_its_stat_and_digest(
    tmp_path: Path, folder: int, buffer: memoryview, text: str
) -> None:
    make_tree(tmp_path, {"file": File(text, 0o4755)})
    record, xattrs, descriptor, count = look(folder, b"file", MAX_BYTES, buffer)
    status = (tmp_path / "file").stat()
    assert (xattrs, descriptor, count) == (b"", -1, len(text))
    assert RECORD.unpack(record) == (
        WHOLE, 0, status.st_mode, status.st_uid, status.st_gid, 1, status.st_dev, status.st_ino, len(text),
        status.st_mtime_ns, status.st_ctime_ns, hashlib.sha256(text.encode()).digest(),
    )  # fmt: skip


def test_what_is_no_regular_file_is_not_seen_and_no_link_is_followed(
    tmp_path: Path, folder: int, buffer: memoryview
) -> None:
    make_tree(tmp_path, {"file": "x", "link": Link("file"), "dir": None})
    os.mkfifo(tmp_path / "fifo")
    for name in (b"link", b"dir", b"fifo", b"gone"):
        assert look(folder, name, MAX_BYTES, buffer) == (UNSEEN, b"", -1, 0)


def test_xattrs_are_said_but_for_roots_own(tmp_path: Path, folder: int, buffer: memoryview) -> None:
    make_tree(tmp_path, {"file": "x"})
    values = {"user.note": b"1", "user.empty": b"", "user.\xff": b"\0\n"}
    for name, value in values.items():
        os.setxattr(tmp_path / "file", name, value)
    if os.geteuid() == 0:
        os.setxattr(tmp_path / "file", "trusted.note", b"1")
    record, xattrs, descriptor, _ = look(folder, b"file", MAX_BYTES, buffer)
    assert (RECORD.unpack(record)[:2], descriptor) == ((WHOLE, len(xattrs)), -1)
    assert xattrs_of(xattrs) == {name: hashlib.sha256(value).hexdigest() for name, value in values.items()}


def test_what_has_many_xattrs_or_is_too_much_for_one_piece_is_left_open(
    tmp_path: Path, folder: int, buffer: memoryview
) -> None:
    make_tree(tmp_path, {"noted": "x", "large": "x" * MAX_BYTES, "more": "xx"})
    for number in range(10):
        os.setxattr(tmp_path / "noted", f"user.note-{number}", b"1")
    for name, most, how in ((b"noted", 9, WHOLE | OPEN), (b"large", 2 * MAX_BYTES, OPEN), (b"more", 1, OPEN)):
        record, xattrs, descriptor, _ = look(folder, name, most, buffer)
        assert xattrs == b""
        assert RECORD.unpack(record)[0] == how
        assert os.readlink(f"/proc/self/fd/{descriptor}") == str(tmp_path / os.fsdecode(name))
        os.close(descriptor)


def test_a_file_of_another_length_than_its_stat_said_is_left_open_at_its_beginning(
    tmp_path: Path, folder: int, buffer: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(tmp_path, {"file": "x"})
    fstat = os.fstat

    def stat_then_grow(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        (tmp_path / "file").write_text("longer")
        return status

    monkeypatch.setattr(os, "fstat", stat_then_grow)
    record, _, descriptor, _ = look(folder, b"file", MAX_BYTES, buffer)
    assert RECORD.unpack(record)[0] == OPEN
    assert os.read(descriptor, 100) == b"longer"
    os.close(descriptor)


def test_a_time_that_no_record_can_hold_is_left_to_who_asks(tmp_path: Path, folder: int, buffer: memoryview) -> None:
    make_tree(tmp_path, {"file": "x"})
    year_2286 = 10**19
    os.utime(tmp_path / "file", ns=(0, year_2286))
    assert (tmp_path / "file").stat().st_mtime_ns == year_2286
    assert look(folder, b"file", MAX_BYTES, buffer) == (UNSEEN, b"", -1, 1)


def test_no_more_is_read_for_one_batch_than_its_bound(tmp_path: Path, folder: int, buffer: memoryview) -> None:
    size = MAX_BYTES - 1
    names = [str(number).encode() for number in range(8)]
    make_tree(tmp_path, {name.decode(): "x" * size for name in names})
    records, left_open = look_at([folder], [8], names, buffer)
    hows = [record[0] for record in RECORD.iter_unpack(records)]
    assert hows == [WHOLE] * (MAX_BATCH_BYTES // size) + [OPEN] * (8 - MAX_BATCH_BYTES // size)
    assert len(left_open) == hows.count(OPEN)
    for descriptor in left_open:
        os.close(descriptor)


def test_a_message_is_answered_file_by_file_whatever_the_names_are(tmp_path: Path, buffer: memoryview) -> None:
    names = [b"a", b"\xff\n", b"x" * 255, "é".encode()]
    for sub in ("one", "two"):
        for name in names:
            (tmp_path / sub).mkdir(exist_ok=True)
            Path(os.fsdecode(os.fsencode(tmp_path / sub) + b"/" + name)).write_bytes(name + sub.encode())
    folders = [os.open(tmp_path / sub, os.O_RDONLY) for sub in ("one", "two")]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = Thread(target=serve, args=(theirs,))
    server.start()
    socket.send_fds(ours, [message(array("H", [3, 1]), [*names[:3], names[3]])], folders)
    records, left_open, _, _ = socket.recv_fds(ours, RECORD.size * BATCH, BATCH)
    ours.close()
    server.join()
    theirs.close()
    assert left_open == []
    assert records == look_at(folders, [3, 1], names, buffer)[0]
    expected = [name + b"one" for name in names[:3]] + [names[3] + b"two"]
    assert [record[-1] for record in RECORD.iter_unpack(records)] == [hashlib.sha256(one).digest() for one in expected]
    for descriptor in folders:
        os.close(descriptor)


def test_a_message_that_did_not_arrive_whole_is_not_answered(folder: int) -> None:
    """Its last name could be another file's: on some file systems names are longer than 255 bytes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = Thread(target=serve, args=(theirs,), daemon=True)
    server.start()
    asked = message(array("H", [BATCH]), [b"x" * 700] * BATCH)
    assert len(asked) > MAX_MESSAGE
    socket.send_fds(ours, [asked], [folder])
    server.join(10)
    assert not server.is_alive()
    theirs.close()
    assert ours.recv(1) == b""
    ours.close()
