"""net: interfaces that are up and carry traffic of the machine's own, and the protocols beside them."""

import psutil
import pytest

import host_trees
from drift_agent.metrics.net import parse_dev, parse_snmp

NITRO = host_trees.TREES / "nitro-container-host/1"


def test_loopback_pairs_of_containers_and_what_is_down_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    host_trees.read_from(monkeypatch, NITRO)
    by_name = host_trees.by_tag(host_trees.gather(host_trees.make("net")), "interface")
    assert set(by_name) == {"ens5", "docker0", "all"}
    assert by_name["ens5"].fields["speed"] == 25000
    assert by_name["docker0"].fields["speed"] == -1


def test_an_interface_that_is_asked_for_is_there_whatever_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    host_trees.read_from(monkeypatch, NITRO)
    gatherer = host_trees.make("net", interfaces=("lo", "ens6"), protocols=False)
    assert [point.tags["interface"] for point in host_trees.gather(gatherer)] == ["lo", "ens6"]


def test_names_that_stand_close_to_their_numbers_or_hold_a_colon() -> None:
    lines = b"a\nb\neth0:1234 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\neth0:1: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\nnone\n"
    counters = parse_dev(lines)
    assert counters["eth0"]["bytes_recv"] == 1234
    assert counters["eth0:1"]["bytes_sent"] == 2


def test_the_protocols_counters_that_old_dashboards_ask_for() -> None:
    values = parse_snmp((NITRO / "proc/net/snmp").read_bytes())
    wanted = {"tcp_estabresets", "tcp_outrsts", "tcp_activeopens", "tcp_passiveopens", "udp_indatagrams"}
    assert wanted | {"udp_outdatagrams"} <= set(values)
    assert all(type(value) is int for value in values.values())


def test_elsewhere_than_on_linux_it_is_psutils(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "LINUX", False)
    by_name = host_trees.by_tag(host_trees.gather(host_trees.make("net", interfaces=("*",))), "interface")
    assert set(by_name) == set(psutil.net_io_counters(pernic=True))
