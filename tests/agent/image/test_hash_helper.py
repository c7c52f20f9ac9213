"""A process that hashes: it says what a plain look says, and whatever becomes of it, nothing is lost or left open."""

import hashlib
import os
import resource
import signal
from pathlib import Path

import pytest

from drift_agent.image.hash_helper import MAX_SENT, HashHelper
from drift_agent.image.hash_worker import BATCH, MAX_BYTES
from drift_agent.image.hashing import Hasher
from drift_agent.image.policy import Policy
from drift_agent.image.scan import Scan
from drift_agent.image.ticket import Ticket
from trees import make_tree

ALL = frozenset({"flags", "xattr"})


def given(helper: HashHelper, path: Path, size: int | None = None) -> Ticket:
    size = path.stat().st_size if size is None else size
    assert helper.has_room(size)
    ticket = Ticket(os.open(path, os.O_RDONLY), size, ALL)
    helper.give(ticket)
    return ticket


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """As many as fill a batch; one has an xattr, one is none of a file's size in one piece."""
    paths = [tmp_path / str(number) for number in range(BATCH)]
    for number, path in enumerate(paths):
        path.write_text(str(number) * (number * 1000 + 1))
    os.setxattr(paths[3], "user.note", b"1")
    return paths


def test_each_file_gets_its_digest_and_what_a_stat_does_not_say(files: list[Path]) -> None:
    helper = HashHelper(start_after=0)
    tickets = [given(helper, path) for path in files]
    for path, ticket in zip(files, tickets, strict=True):
        helper.ask(ticket)
        assert (ticket.done, ticket.descriptor, ticket.error) == (True, -1, None)
        assert ticket.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [bool(ticket.attributes) for ticket in tickets] == [number == 3 for number in range(BATCH)]
    helper.close()


def test_a_file_of_another_size_than_its_stat_said_is_its_askers_to_hash(files: list[Path]) -> None:
    helper = HashHelper(start_after=0)
    tickets = [given(helper, path, 7) for path in files]
    for ticket in tickets:
        helper.ask(ticket)
        assert not ticket.done
        ticket.hash_here(bytearray(1 << 20), None)
    assert [ticket.digest for ticket in tickets] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    helper.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_where_the_process_ends_or_hangs_what_it_had_is_hashed_by_who_asks(
    files: list[Path], number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drift_agent.image.hash_helper.ANSWER_SECONDS", 1)
    with Hasher(start_after=0) as hasher:
        assert hasher._helper.has_room(1)
        process = hasher._helper._process
        assert process is not None
        process.send_signal(number)
        tickets = [hasher.submit(os.open(path, os.O_RDONLY), path.stat().st_size, ALL) for path in files]
        found = [hasher.result(ticket) for ticket in tickets if ticket is not None]
    assert found == [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def test_it_takes_what_is_read_in_one_piece_and_no_more_than_it_can_do(files: list[Path]) -> None:
    helper = HashHelper(start_after=0)
    assert not helper.has_room(0)
    assert not helper.has_room(MAX_BYTES)
    assert helper.has_room(1)
    process = helper._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    tickets = [given(helper, path) for _ in range(helper._most) for path in files]
    assert not helper.has_room(1)
    helper.close()
    for ticket in tickets:
        ticket.close()


def test_where_few_files_may_be_open_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk needs some too: none of them may read as a file that could not be opened."""
    for soft, most in ((100, 0), (256, 2), (1024, 8), (1 << 20, MAX_SENT)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert HashHelper()._most == most


def test_a_little_to_hash_starts_no_process() -> None:
    helper = HashHelper(start_after=3)
    assert [helper.has_room(1) for _ in range(3)] == [False] * 3
    assert helper._process is None
    helper.close()


def test_no_descriptor_is_left_open_where_a_scan_is_given_up(tmp_path: Path) -> None:
    make_tree(tmp_path, {str(number): "x" for number in range(3 * BATCH)})
    before = set(os.listdir("/proc/self/fd"))
    for given_up in (False, True):
        hasher = Hasher(start_after=0)
        with hasher, Scan(str(tmp_path), Policy.of([]), hasher=hasher) as scan:
            entries = scan.entries()
            if given_up:
                next(entries)
                del entries
            else:
                assert len(list(entries)) == 3 * BATCH + 1
        assert set(os.listdir("/proc/self/fd")) <= before
