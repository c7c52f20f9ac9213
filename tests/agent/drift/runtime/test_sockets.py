"""Listening sockets, asked of the real kernel."""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from drift_agent.drift import seal
from drift_agent.drift.runtime import sockets
from drift_agent.drift.runtime.sock_diag import Listener
from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy
from drift_agent.model import Change
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


AVAHI = Listener("udp", "0.0.0.0", 5353, 108, "avahi-daemon.service")
RESOLVED = replace(AVAHI, uid=102, unit="systemd-resolved.service")
BARE = replace(AVAHI, uid=0, unit=None)


def test_all_who_listen_at_one_place_are_seen_in_whatever_order_the_kernel_names_them(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who joins a port that others have must not hide behind them, nor a restart of one read as another owner."""
    for order in ([AVAHI, RESOLVED], [RESOLVED, AVAHI, RESOLVED]):
        monkeypatch.setattr(sockets, "listeners", lambda _, order=order: iter(order))
        observed = sockets.gather(manifest, "/proc")
        assert observed is not None
        (change,) = observed.changes
        assert change.key == "udp 0.0.0.0:5353"
        assert change.actual == {"owners": "102 systemd-resolved.service / 108 avahi-daemon.service"}


def differing(before: Sequence[Listener], now: Sequence[Listener]) -> Change:
    was, is_now = (
        {("socket", "p"): sockets._change("p", {(one.uid, one.unit or "") for one in each})} for each in (before, now)
    )
    (change,) = seal.compare(was, is_now, lambda _: True).values()
    return change


@pytest.mark.parametrize(
    ("before", "now", "fewer"),
    [
        ([AVAHI, RESOLVED], [RESOLVED], True),
        ([AVAHI, BARE], [BARE], True),
        ([AVAHI, RESOLVED, BARE], [AVAHI, BARE], True),
        ([AVAHI], [AVAHI, RESOLVED], False),
        ([AVAHI, RESOLVED], [BARE], False),
        ([AVAHI, RESOLVED], [replace(AVAHI, uid=102)], False),
        ([AVAHI, RESOLVED], [AVAHI, BARE], False),
        ([AVAHI], [RESOLVED], False),
    ],
)
def test_of_several_some_may_stop_and_nobody_else_come(
    before: Sequence[Listener], now: Sequence[Listener], fewer: bool
) -> None:
    assert sockets.is_fewer(differing(before, now)) == fewer


def test_the_unit_of_what_was_started_anew_while_they_were_counted_is_known(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the same service would be another owner at one look."""
    (tmp_path / "cgroup.controllers").touch()
    monkeypatch.setattr(sockets, "CGROUPS", (str(tmp_path),))
    walks = iter([{1: "avahi-daemon.service"}, {2: "avahi-daemon.service"}])
    monkeypatch.setattr(sockets, "_units", lambda _: next(walks))
    monkeypatch.setattr(sockets, "listeners", lambda units: iter([replace(AVAHI, unit=units.get(2))]))
    observed = sockets.gather(manifest, "/proc")
    assert observed is not None
    assert [change.actual["unit"] for change in observed.changes] == ["avahi-daemon.service"]


def test_units_by_control_group(tmp_path: Path) -> None:
    docker = "system.slice/docker-0123456789abcdef.scope"
    for path in ("system.slice/ssh.service/init", "user.slice/session-31.scope", docker):
        (tmp_path / path).mkdir(parents=True)
    units = sockets._units(str(tmp_path))
    assert units[(tmp_path / "system.slice/ssh.service").stat().st_ino] == "ssh.service"
    assert units[(tmp_path / "system.slice/ssh.service/init").stat().st_ino] == "ssh.service"
    assert units[(tmp_path / "user.slice/session-31.scope").stat().st_ino] == "session-*.scope"
    assert units[(tmp_path / docker).stat().st_ino] == "docker-*.scope"
