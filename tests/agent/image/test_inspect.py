"""Attributes of one entry, by descriptors alone."""

import errno
import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drift_agent.errors import InputError
from drift_agent.image import inspect
from trees import Link, make_tree

names = st.binary(min_size=1, max_size=4).filter(lambda name: b"/" not in name and b"\0" not in name)


@contextmanager
def opened(path: Path, how: int = os.O_RDONLY) -> Iterator[int]:
    descriptor = os.open(path, how)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.sets(names.filter(lambda name: name not in (b".", b"..")), max_size=8))
def test_names_stand_in_the_order_of_their_bytes(tmp_path: Path, wanted: set[bytes]) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    for name in wanted:
        (tmp_path / os.fsdecode(name)).touch()
    with opened(tmp_path) as descriptor:
        found = inspect.listing(descriptor)
    assert [os.fsencode(name) for name, _ in found] == sorted(wanted)
    assert all(is_file for _, is_file in found)


def test_only_a_regular_file_is_one(tmp_path: Path) -> None:
    make_tree(tmp_path, {"file": "x", "folder": None, "link": Link("file")})
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        with opened(tmp_path) as descriptor:
            found = dict(inspect.listing(descriptor))
    assert found == {"file": True, "folder": False, "link": False, "pipe": False, "socket": False}


@pytest.mark.parametrize("size", [0, 1, inspect.BLOCK - 1, inspect.BLOCK, 2 * inspect.BLOCK + 1])
def test_a_digest_is_of_the_whole_content_and_small_ones_come_with_it(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    told: list[int] = []
    with opened(tmp_path / "file") as descriptor:
        read, digest = inspect.digest(descriptor, size, None, told.append)
    assert digest == hashlib.sha256(content).hexdigest()
    assert read == (content if size < inspect.BLOCK else None)
    assert sum(told) == size


@pytest.mark.parametrize("before", ["longer than it is now", "", "short"])
def test_a_file_that_is_not_of_the_size_that_its_stat_said_is_read_as_it_is(tmp_path: Path, before: str) -> None:
    (tmp_path / "file").write_text("as it is now")
    with opened(tmp_path / "file") as descriptor:
        read, digest = inspect.digest(descriptor, len(before))
    assert (read, digest) == (None, hashlib.sha256(b"as it is now").hexdigest())


def test_a_file_that_changes_while_it_is_read_is_read_again_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * inspect.BLOCK)
    writes = iter([b"b", b"c"])

    def write(_: int) -> None:
        content = next(writes, None)
        if content is not None:
            path.write_bytes(content * (inspect.BLOCK + 1))

    with opened(path) as descriptor:
        _, digest = inspect.digest(descriptor, inspect.BLOCK, None, write)
    assert digest == hashlib.sha256(b"c" * (inspect.BLOCK + 1)).hexdigest()


def test_a_file_that_never_rests_is_read_three_times_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * inspect.BLOCK)
    begins: list[int] = []
    seek = os.lseek

    def begin(descriptor: int, position: int, how: int) -> int:
        begins.append(position)
        return seek(descriptor, position, how)

    monkeypatch.setattr(os, "lseek", begin)
    with opened(path) as descriptor:
        inspect.digest(descriptor, inspect.BLOCK, None, lambda _: os.utime(path, ns=(0, len(begins))))
    assert begins == [0, 0, 0]


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="this system has no such attributes")
def test_xattrs_are_digests_by_their_names_and_a_link_has_its_own(tmp_path: Path) -> None:
    make_tree(tmp_path, {"file": "x", "link": Link("file")})
    try:
        os.setxattr(tmp_path / "file", "user.b", b"2")
        os.setxattr(tmp_path / "file", b"user.\xff", b"1")
    except OSError:
        pytest.skip("this file system keeps no such attributes")
    wanted = {"xattr.user.b": hashlib.sha256(b"2").hexdigest(), "xattr.user.\\xff": hashlib.sha256(b"1").hexdigest()}
    assert inspect.xattrs(str(tmp_path / "file")) == wanted
    assert inspect.xattrs(str(tmp_path / "link")) == {}
    with opened(tmp_path / "file") as descriptor:
        assert inspect.xattrs(descriptor) == inspect.extended(descriptor, frozenset({"xattr"})) == wanted
        assert inspect.extended(descriptor, frozenset({"mode"})) == {}


@pytest.mark.skipif(not hasattr(os, "getxattr"), reason="this system has no such attributes")
def test_what_only_root_sees_is_left_out_and_what_goes_meanwhile_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(_: object, name: str, **__: object) -> bytes:
        if name == "user.gone":
            raise OSError(errno.ENODATA, "No data available")
        return b""

    monkeypatch.setattr(os, "listxattr", lambda *_, **__: ["user.gone", "trusted.x", "user.stays"])
    monkeypatch.setattr(os, "getxattr", get)
    assert list(inspect.xattrs(str(tmp_path))) == ["xattr.user.stays"]


@pytest.mark.parametrize(
    ("bits", "text"), [(0, ""), (0x10, "i"), (0x20, "a"), (0x30, "ia"), (0x80000, ""), (0x80010, "i")]
)
def test_of_the_flags_those_count_that_somebody_sets(bits: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "ioctl", lambda *_: bits.to_bytes(8, "little"))
    assert inspect.flags(0) == text


@pytest.mark.parametrize("code", [errno.ENOTTY, errno.ENOTSUP, errno.EINVAL])
def test_a_file_system_without_flags_has_none_and_other_errors_are_errors(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise OSError(code, "no")

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    assert inspect.flags(0) == ""
    code = errno.EIO
    with pytest.raises(OSError, match="no"):
        inspect.flags(0)


def test_a_root_that_is_no_folder_is_a_mistake_of_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(InputError, match="cannot be opened as a root folder"):
            inspect.open_root(str(tmp_path / name))
