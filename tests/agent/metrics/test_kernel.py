"""kernel, pressure, nstat, conntrack, linux_sysctl_fs: absent where the kernel has none of it."""

from pathlib import Path

import pytest

import host_trees
from drift_agent.metrics.nstat import parse_lines, parse_pairs_of_lines
from drift_agent.metrics.pressure import parse


@pytest.mark.parametrize("name", ["pressure", "nstat", "conntrack", "linux_sysctl_fs"])
def test_a_machine_without_it_gives_no_point(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host_trees.read_from(monkeypatch, tmp_path)
    assert host_trees.gather(host_trees.make(name)) == []


def test_pages_of_disks_on_old_kernels_and_merged_pages_on_new_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text("page 5741 1808\nintr 7 1 2\nctxt 8\nbtime 9\nprocesses 10\n")
    (tmp_path / "sys/kernel/mm/ksm").mkdir(parents=True)
    (tmp_path / "sys/kernel/mm/ksm/full_scans").write_text("11\n")
    host_trees.read_from(monkeypatch, tmp_path)
    (point,) = host_trees.gather(host_trees.make("kernel"))
    assert point.fields == {
        "disk_pages_in": 5741, "disk_pages_out": 1808, "interrupts": 7, "context_switches": 8, "boot_time": 9,
        "processes_forked": 10, "ksm_full_scans": 11,
    }  # fmt: skip


def test_pressure_of_all_processors_says_nothing_and_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    host_trees.read_from(monkeypatch, host_trees.TREES / "debian-12-vm/1")
    kinds = {(point.tags["resource"], point.tags["type"]) for point in host_trees.gather(host_trees.make("pressure"))}
    assert ("cpu", "full") not in kinds
    assert len(kinds) == 5


def test_pressure_lines() -> None:
    assert parse(b"some avg10=1.50 avg60=0.10 avg300=0.00 total=123\nnonsense\n") == {
        "some": {"avg10": 1.5, "avg60": 0.1, "avg300": 0.0, "total": 123}
    }


def test_counters_of_the_network_stack() -> None:
    assert dict(parse_pairs_of_lines(b"Tcp: A B\nTcp: -1 2\n\n")) == {"TcpA": -1, "TcpB": 2}
    assert dict(parse_lines(b"Ip6A\t 1\nodd\n")) == {"Ip6A": 1}


def test_zeros_and_what_does_not_fit_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/snmp6").write_text(f"Ip6Zero 0\nIp6Huge {2**64 - 1}\nIp6One 1\n")
    host_trees.read_from(monkeypatch, tmp_path)
    (point,) = host_trees.gather(host_trees.make("nstat"))
    assert point.fields == {"Ip6One": 1}
    (point,) = host_trees.gather(host_trees.make("nstat", dump_zeros=True))
    assert point.fields == {"Ip6Zero": 0, "Ip6One": 1}


def test_a_limit_that_is_none_is_the_largest_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "proc/sys/fs").mkdir(parents=True)
    (tmp_path / "proc/sys/fs/file-nr").write_text(f"1\t0\t{2**64 - 1}\n")
    host_trees.read_from(monkeypatch, tmp_path)
    (point,) = host_trees.gather(host_trees.make("linux_sysctl_fs"))
    assert point.fields == {"file-nr": 1, "file-max": 2**63 - 1}
