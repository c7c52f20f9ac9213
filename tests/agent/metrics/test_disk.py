"""disk: which mounts are looked at, and what their devices are called."""

import os
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

import host_trees
from drift_agent.metrics.disk import parse_mountinfo, usage
from drift_agent.model import Point

NITRO = host_trees.TREES / "nitro-container-host/1"


@pytest.fixture
def nitro(monkeypatch: pytest.MonkeyPatch) -> None:
    host_trees.fix_what_is_not_in_files(monkeypatch)
    host_trees.read_from(monkeypatch, NITRO)


def paths(points: list[Point]) -> list[str]:
    return [point.tags["path"] for point in points]


@pytest.mark.usefixtures("nitro")
def test_binds_overlays_loops_and_memory_are_left_out() -> None:
    assert paths(host_trees.gather(host_trees.make("disk"))) == ["/", "/srv/with space", "/mnt/data", "/mnt/nfs"]


@pytest.mark.usefixtures("nitro")
def test_its_own_keys_say_what_else() -> None:
    assert paths(host_trees.gather(host_trees.make("disk", mount_points=("/mnt/*",)))) == ["/mnt/data", "/mnt/nfs"]
    only_memory = host_trees.make("disk", ignore_fs=("nfs*", "xfs", "ext4", "overlay", "squashfs", "proc", "sysfs"))
    assert paths(host_trees.gather(only_memory)) == ["/run"]
    assert "/var/lib/kubelet/pods/y" in paths(host_trees.gather(host_trees.make("disk", ignore_mount_opts=())))
    assert "/" not in paths(host_trees.gather(host_trees.make("disk", ignore_mount_points=("/",))))


@pytest.mark.usefixtures("nitro")
def test_devices_have_the_names_that_diskio_has() -> None:
    devices = {point.tags["path"]: point.tags["device"] for point in host_trees.gather(host_trees.make("disk"))}
    assert (devices["/"], devices["/srv/with space"]) == ("nvme0n1p1", "dm-0")


def test_a_mount_over_a_mount_hides_it_and_names_are_unescaped() -> None:
    data = b"1 0 8:1 / /a rw - ext4 /dev/sda1 rw\n2 0 8:2 / /a ro,noexec - xfs /dev/sdb\\0401 rw\n"
    (mount,) = parse_mountinfo(data)
    assert (mount.device, mount.fstype, mount.mode) == ("/dev/sdb 1", "xfs", "ro")


def test_a_type_that_is_no_text_is_kept_as_it_is() -> None:
    (mount,) = parse_mountinfo(b"1 0 0:9 / /a rw - fuse.\xce x rw\n")
    assert mount.fstype == "fuse.\udcce"


def test_a_file_system_that_its_errors_made_read_only_is_ro() -> None:
    (mount,) = parse_mountinfo(b"1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 ro,errors=remount-ro\n")
    assert mount.mode == "ro"


@given(st.binary(max_size=300))
def test_no_mountinfo_breaks_it(data: bytes) -> None:
    for mount in parse_mountinfo(data):
        assert mount.mode in ("ro", "rw", "unknown")


def test_percent_is_of_what_users_may_take() -> None:
    values = usage(os.statvfs_result((4096, 4096, 1000, 400, 300, 0, 0, 0, 0, 255)))
    assert values is not None
    assert values["used_percent"] == pytest.approx(100 * 600 / 900)
    assert values["inodes_used_percent"] == 0.0


def test_a_mount_that_goes_meanwhile_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "proc/1/mountinfo").write_text("1 0 8:1 / /gone/meanwhile rw - ext4 /dev/sda1 rw\n")
    host_trees.read_from(monkeypatch, tmp_path)
    assert host_trees.gather(host_trees.make("disk")) == []


def test_elsewhere_than_on_linux_it_is_psutils(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "LINUX", False)
    points = host_trees.gather(host_trees.make("disk"))
    assert set(paths(points)) <= {part.mountpoint for part in psutil.disk_partitions(all=False)}
