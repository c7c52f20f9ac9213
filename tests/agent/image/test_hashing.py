"""Hashing beside the walk: every file's digest, whoever makes it, and no descriptor left behind."""

import hashlib
import os
import time
from pathlib import Path
from threading import Event

import pytest

from drift_agent.image.hashing import MAX_OUTSTANDING, MIN_BYTES, Hasher
from drift_agent.image.inspect import ReadStoppedError
from drift_agent.image.policy import Policy
from drift_agent.image.scan import Scan
from drift_agent.image.ticket import Ticket
from trees import make_tree
from waiting import PATIENCE


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


NOTHING: frozenset[str] = frozenset()


def opened(path: Path) -> tuple[int, int, frozenset[str]]:
    return os.open(path, os.O_RDONLY), path.stat().st_size, NOTHING


def test_each_file_gets_its_own_digest(tmp_path: Path) -> None:
    with Hasher() as hasher:
        tickets: list[tuple[str, Ticket]] = []
        for number in range(20):
            text = str(number) * (MIN_BYTES * (1 + number % 3))
            (tmp_path / str(number)).write_text(text)
            ticket = hasher.submit(*opened(tmp_path / str(number)))
            assert ticket is not None
            tickets.append((digest(text), ticket))
        for expected, ticket in reversed(tickets):
            assert hasher.result(ticket) == expected


def test_too_many_stay_with_their_caller_and_who_asks_first_hashes(tmp_path: Path) -> None:
    text = "x" * MIN_BYTES
    (tmp_path / "f").write_text(text)
    hasher = Hasher()
    hasher.close()  # nobody takes from the queue
    tickets = [hasher.submit(*opened(tmp_path / "f")) for _ in range(MAX_OUTSTANDING)]
    extra = opened(tmp_path / "f")
    assert hasher.submit(*extra) is None
    os.close(extra[0])
    for ticket in tickets:
        assert ticket is not None
        assert hasher.result(ticket) == digest(text)


def test_one_that_is_alone_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x" * MIN_BYTES)
    with Hasher(alone=True) as hasher:
        mine = opened(tmp_path / "f")
        assert hasher.submit(*mine) is None
        os.close(mine[0])


def test_an_error_comes_to_who_asks(tmp_path: Path) -> None:
    with Hasher() as hasher:
        ticket = hasher.submit(os.open(tmp_path, os.O_RDONLY), MIN_BYTES, NOTHING)
        assert ticket is not None
        with pytest.raises(IsADirectoryError):
            hasher.result(ticket)


def test_nothing_is_left_open(tmp_path: Path) -> None:
    make_tree(tmp_path, {str(number): "x" * MIN_BYTES for number in range(60)})
    before = set(os.listdir("/proc/self/fd"))
    for given_up in (False, True):
        with Hasher() as hasher, Scan(str(tmp_path), Policy.of([]), hasher=hasher) as scan:
            entries = scan.entries()
            if given_up:
                next(entries)
                del entries
            else:
                assert len(list(entries)) == 61
        assert set(os.listdir("/proc/self/fd")) <= before


def sparse(path: Path) -> tuple[int, int, frozenset[str]]:
    """300 GB of nothing, which nobody reads in the time of a test."""
    with path.open("w") as file:
        file.truncate(300 << 30)
    return opened(path)


def test_it_ends_within_a_block_of_what_it_reads(tmp_path: Path) -> None:
    reading = Event()
    hasher = Hasher(pace=lambda _: reading.set())
    assert hasher.submit(*sparse(tmp_path / "f")) is not None
    assert reading.wait(PATIENCE)
    began = time.monotonic()
    hasher.close()
    assert time.monotonic() - began < PATIENCE  # a block is read within milliseconds, the file within minutes


def test_who_sets_the_pace_ends_what_is_read_in_any_thread(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise ReadStoppedError

    before = set(os.listdir("/proc/self/fd"))
    (tmp_path / "small").write_text("x")
    sparse_file = sparse(tmp_path / "f")
    with Hasher(pace=stop) as hasher:
        ticket = hasher.submit(*sparse_file)
        assert ticket is not None
        with pytest.raises(ReadStoppedError):
            hasher.result(ticket)
        with Scan(str(tmp_path), Policy.of([]), hasher=hasher, pace=stop) as scan, pytest.raises(ReadStoppedError):
            list(scan.entries())
    assert set(os.listdir("/proc/self/fd")) <= before
