"""diskio: counters in bytes and ms, rates over the time between two samples."""

import psutil
import pytest

import host_trees
from drift_agent.metrics.diskio import parse_diskstats, rates
from drift_agent.metrics.filters import NameFilter

QUIET = {"reads": 10, "writes": 10, "read_time": 5, "write_time": 5, "io_time": 7}


def test_sectors_are_512_bytes_and_idle_devices_are_left_out() -> None:
    data = b"8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13\n8 16 sdb 0 0 0 0 0 0 0 0 0 0 0\n8 1 sda1 1 2 3 4\n"
    counters = parse_diskstats(data, NameFilter())
    assert set(counters) == {"sda"}
    assert counters["sda"]["read_bytes"] == 1536
    assert counters["sda"]["weighted_io_time"] == 11


def test_rates_are_of_the_time_between_two_readings() -> None:
    busy = {"reads": 20, "writes": 20, "read_time": 45, "write_time": 5, "io_time": 507}
    assert rates(QUIET, busy, 10.0) == {"io_util": 5.0, "io_svctm": 25.0, "io_await": 2.0}
    assert rates(QUIET, QUIET, 10.0) == {"io_util": 0.0}


def test_counters_that_ran_backwards_give_no_rate() -> None:
    assert rates(QUIET, {**QUIET, "reads": 0}, 10.0) == {}


def test_loops_and_memory_are_left_out_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    host_trees.read_from(monkeypatch, host_trees.TREES / "nitro-container-host/0")
    by_name = host_trees.by_tag(host_trees.gather(host_trees.make("diskio")), "name")
    assert set(by_name) == {"nvme0n1", "nvme0n1p1", "nvme1n1", "dm-0"}
    asked = host_trees.make("diskio", devices=("loop*",), ignore_devices=())
    assert [point.tags["name"] for point in host_trees.gather(asked)] == ["loop0"]


def test_elsewhere_than_on_linux_it_is_psutils(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "LINUX", False)
    for point in host_trees.gather(host_trees.make("diskio")):
        assert set(point.fields) == {"reads", "writes", "read_bytes", "write_bytes", "read_time", "write_time"}
