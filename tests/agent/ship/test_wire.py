"""A connection that another thread can end, whatever became of the socket object meanwhile."""

import os
import socket
from collections.abc import Iterator

import pytest

from drift_agent.ship.wire import Wire

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5.0)
        theirs.settimeout(5.0)
        yield ours, theirs


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_what_is_cut_ends_on_both_sides_and_says_why(pair: Pair) -> None:
    ours, theirs = pair
    wire = Wire()
    wire.hold(ours)
    assert wire.cut_by == ""
    wire.cut("too slow")
    assert ours.recv(1) == theirs.recv(1) == b""
    assert wire.cut_by == "too slow"


def test_the_connection_is_ended_though_its_socket_is_anothers_by_then(pair: Pair) -> None:
    """TLS takes the descriptor out of the socket that was connected."""
    ours, theirs = pair
    wire = Wire()
    wire.hold(ours)
    taken = socket.socket(fileno=ours.detach())
    wire.cut("too slow")
    with taken:
        assert theirs.recv(1) == taken.recv(1) == b""


def test_what_connects_once_it_was_cut_is_ended_too(pair: Pair) -> None:
    ours, theirs = pair
    wire = Wire()
    wire.cut("the agent stops")
    wire.hold(ours)
    assert theirs.recv(1) == b""


def test_what_was_given_back_is_left_alone(pair: Pair) -> None:
    ours, theirs = pair
    wire = Wire()
    wire.hold(ours)
    wire.release()
    wire.cut("too slow")
    ours.sendall(b"x")
    assert theirs.recv(1) == b"x"


def test_a_peer_that_went_first_is_no_error(pair: Pair) -> None:
    ours, theirs = pair
    wire = Wire()
    wire.hold(ours)
    theirs.close()
    wire.cut("too slow")
    wire.cut("again")
    assert wire.cut_by == "again"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in proc")
def test_no_descriptor_is_left_behind(pair: Pair) -> None:
    before = descriptors()
    wire = Wire()
    for one in (*pair, *pair):
        wire.hold(one)
    assert descriptors() == before + 1
    wire.release()
    wire.release()
    assert descriptors() == before
