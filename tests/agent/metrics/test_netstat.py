"""netstat: real sockets by state, never zeros in place of what could not be read."""

import socket
from pathlib import Path

import pytest

import host_trees


def test_sockets_of_this_machine_are_counted() -> None:
    gatherer = host_trees.make("netstat")
    (before,) = host_trees.gather(gatherer)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("127.0.0.1", 0))
        (now,) = host_trees.gather(gatherer)
    assert int(now.fields["tcp_listen"]) >= 1
    assert int(now.fields["tcp_established"]) >= 2
    assert set(now.fields) == set(before.fields)
    assert int(now.fields["udp_socket"]) >= 1


def test_a_kernel_that_lists_no_sockets_gives_no_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host_trees.read_from(monkeypatch, tmp_path)
    assert host_trees.gather(host_trees.make("netstat")) == []
