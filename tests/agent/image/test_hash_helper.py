"""A process that looks at files: it says what a look here says, and has no answer where it is gone or hangs."""

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from drift_agent.image.hash_helper import MAX_SENT, HashHelper
from drift_agent.image.hash_worker import BATCH, MAX_BYTES, OPEN, RECORD, look_at


@pytest.fixture
def helper() -> Iterator[HashHelper]:
    helper = HashHelper()
    helper.start()
    assert helper.is_running
    yield helper
    helper.close()


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[tuple[list[int], "array[int]", list[bytes]]]:
    """A batch: a folder of files, one with an xattr, one with many."""
    names = [str(number).encode() for number in range(BATCH)]
    for number, name in enumerate(names):
        (tmp_path / name.decode()).write_text(str(number) * (number * 1000 + 1))
    for number in range(10):
        os.setxattr(tmp_path / "3", f"user.note-{number}", b"1")
    os.setxattr(tmp_path / "5", "user.note", b"1")
    folder = os.open(tmp_path, os.O_RDONLY)
    yield [folder], array("H", [BATCH]), names
    os.close(folder)


def test_it_says_what_a_look_here_says_and_passes_open_files_on(
    helper: HashHelper, asked: tuple[list[int], "array[int]", list[bytes]], tmp_path: Path
) -> None:
    assert helper.send(*asked)
    answer = helper.receive(wait=True)
    assert answer is not None
    records, (descriptor,) = answer
    here, (other,) = look_at(*asked, memoryview(bytearray(MAX_BYTES)))
    assert records == here
    found = list(RECORD.iter_unpack(records[: RECORD.size * BATCH]))
    assert [number for number, record in enumerate(found) if record[0] & OPEN] == [3]
    assert [number for number, record in enumerate(found) if record[1]] == [5]
    assert os.readlink(f"/proc/self/fd/{descriptor}") == str(tmp_path / "3")
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    os.close(other)


def test_who_does_not_wait_hears_that_nothing_is_there_yet(
    helper: HashHelper, asked: tuple[list[int], "array[int]", list[bytes]]
) -> None:
    assert helper._process is not None
    helper._process.send_signal(signal.SIGSTOP)
    assert helper.send(*asked)
    assert helper.receive(wait=False) is None
    assert helper.is_running


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_where_the_process_ends_or_hangs_there_is_no_answer_and_nobody_to_ask(
    asked: tuple[list[int], "array[int]", list[bytes]], number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drift_agent.image.hash_helper.ANSWER_SECONDS", 1)
    helper = HashHelper()
    helper.start()
    assert helper._process is not None
    helper._process.send_signal(number)
    helper.send(*asked)
    assert helper.receive(wait=True) is None
    assert not helper.is_running
    assert not helper.has_room
    assert not helper.send(*asked)
    helper.start()
    assert not helper.is_running, "a second one would fare no better"
    helper.close()


def test_it_takes_no_more_than_it_can_do(
    helper: HashHelper, asked: tuple[list[int], "array[int]", list[bytes]]
) -> None:
    assert helper._process is not None
    helper._process.send_signal(signal.SIGSTOP)
    for _ in range(helper._most):
        assert helper.has_room
        assert helper.send(*asked)
    assert not helper.has_room


def test_where_few_files_may_be_open_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk needs some too: none of them may read as a file that could not be opened."""
    for soft, most in ((100, 0), (256, 2), (1024, 8), (1 << 20, MAX_SENT)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert HashHelper()._most == most


def test_who_takes_nothing_any_more_is_not_waited_for_without_end(
    asked: tuple[list[int], "array[int]", list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drift_agent.image.hash_helper.ANSWER_SECONDS", 1)
    monkeypatch.setattr("drift_agent.image.hash_helper.MAX_SENT", 1000)
    helper = HashHelper()
    helper.start()
    assert helper._process is not None
    assert helper._connection is not None
    helper._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    helper._process.send_signal(signal.SIGSTOP)
    for _ in range(100):
        if not helper.send(*asked):
            break
    assert not helper.is_running
    helper.close()


def test_where_the_python_that_runs_is_gone_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "subprocess", None)
    helper = HashHelper()
    helper.start()
    assert not helper.is_running


@pytest.mark.parametrize("fails", ["socketpair", "Popen"])
def test_where_no_more_files_may_be_open_none_is_started(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    def no_more(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket if fails == "socketpair" else subprocess, fails, no_more)
    helper = HashHelper()
    helper.start()
    assert not helper.is_running
    helper.close()


def test_where_none_may_wait_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    helper = HashHelper()
    helper.start()
    assert not helper.is_running


def test_no_descriptor_is_left_open(asked: tuple[list[int], "array[int]", list[bytes]]) -> None:
    before = set(os.listdir("/proc/self/fd"))
    helper = HashHelper()
    helper.start()
    helper.send(*asked)
    helper.close()
    assert set(os.listdir("/proc/self/fd")) <= before
