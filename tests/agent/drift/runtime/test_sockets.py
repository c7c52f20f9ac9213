"""Listening sockets, asked of the real kernel."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drift_agent.drift.runtime import sockets
from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy
from servers import free_port

if sys.platform != "linux":
    pytest.skip("sock_diag is Linux's", allow_module_level=True)


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Manifest]:
    (tmp_path / "root").mkdir()
    bake(str(tmp_path / "root"), "web", "", Policy.of(()), str(tmp_path / "manifest.jsonl"))
    with Manifest.open(str(tmp_path / "manifest.jsonl")) as opened:
        yield opened


def keys(manifest: Manifest) -> set[str]:
    observed = sockets.gather(manifest, "/proc")
    assert observed is not None
    assert observed.unreadable == []
    return {change.key for change in observed.changes}


def test_what_listens_is_seen_with_its_owner_and_what_does_not_is_not(manifest: Manifest) -> None:
    port = free_port()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", port))
        assert f"tcp 127.0.0.1:{port}" not in keys(manifest)
        listening.listen()
        observed = sockets.gather(manifest, "/proc")
        assert observed is not None
        found = next(change for change in observed.changes if change.key == f"tcp 127.0.0.1:{port}")
    assert found.actual["uid"] == os.getuid()
    assert found.path_class == "sealed"
    assert f"tcp 127.0.0.1:{port}" not in keys(manifest)


def test_udp_and_version_6(manifest: Manifest) -> None:
    port = free_port()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as bound:
        bound.bind(("::1", port))
        assert f"udp [::1]:{port}" in keys(manifest)


def test_a_port_that_differs_after_each_boot_is_not_in_the_key(manifest: Manifest) -> None:
    with socket.socket() as listening, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        asking.bind(("127.0.0.1", 0))
        found = keys(manifest)
        assert any(key.startswith("tcp 127.0.0.1:ephemeral") for key in found)
        assert not any(str(listening.getsockname()[1]) in key or str(asking.getsockname()[1]) in key for key in found)


def test_a_connection_is_no_listener(manifest: Manifest) -> None:
    port, clients = free_port(), free_port()
    with (
        socket.create_server(("127.0.0.1", port)) as listening,
        socket.create_connection(listening.getsockname(), source_address=("127.0.0.1", clients)),
    ):
        found = keys(manifest)
    assert f"tcp 127.0.0.1:{port}" in found
    assert f"tcp 127.0.0.1:{clients}" not in found


def test_a_container_that_shares_the_hosts_network_has_its_own_sockets_alone(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", port))
        listening.listen()
        monkeypatch.setattr(sockets, "CGROUPS", (str(tmp_path),))  # nothing is seen of whose it is
        monkeypatch.setattr(sockets, "is_container", lambda: True)
        assert f"tcp 127.0.0.1:{port}" in keys(manifest)
        (tmp_path / "cgroup.controllers").touch()
        assert keys(manifest) == set()
        monkeypatch.setattr(sockets, "is_container", lambda: False)
        assert f"tcp 127.0.0.1:{port}" in keys(manifest)


def test_units_by_control_group(tmp_path: Path) -> None:
    docker = "system.slice/docker-0123456789abcdef.scope"
    for path in ("system.slice/ssh.service/init", "user.slice/session-31.scope", docker):
        (tmp_path / path).mkdir(parents=True)
    units = sockets._units(str(tmp_path))
    assert units[(tmp_path / "system.slice/ssh.service").stat().st_ino] == "ssh.service"
    assert units[(tmp_path / "system.slice/ssh.service/init").stat().st_ino] == "ssh.service"
    assert units[(tmp_path / "user.slice/session-31.scope").stat().st_ino] == "session-*.scope"
    assert units[(tmp_path / docker).stat().st_ino] == "docker-*.scope"
