"""disk: how full the file systems are. Source: `/proc/1/mountinfo` and statvfs(2), psutil elsewhere.

The mounts are those of the first process: the agent's own namespace shows what its unit's sandbox hides.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import psutil

from drift_agent.config import as_texts, option
from drift_agent.metrics import hostfs
from drift_agent.metrics.filters import NameFilter
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Measurement, fields

DISK: Final = Measurement(
    "disk",
    "How full each file system is; `free` is what users may still take.",
    ("path", "device", "fstype", "mode", "label"),
    {
        **fields("i", "bytes", "total free used"),
        **fields("i", "1", "inodes_total inodes_free inodes_used"),
        **fields("f", "percent", "used_percent inodes_used_percent"),
    },
)

# File systems that hold no data of their own, or none that can fill up; autofs would be mounted by looking.
_IGNORED: Final = (
    "tmpfs", "devtmpfs", "devfs", "iso9660", "overlay", "aufs", "squashfs", "erofs", "autofs", "proc", "sysfs",
    "cgroup", "cgroup2", "devpts", "mqueue", "nsfs", "tracefs", "debugfs", "securityfs", "bpf", "pstore", "efivarfs",
    "configfs", "fusectl", "hugetlbfs", "binfmt_misc",
    "ramfs", "rpc_pipefs", "selinuxfs", "fuse.lxcfs", "fuse.gvfsd-fuse",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DiskOptions(MetricOptions):
    """`[metrics.disk]`"""

    mount_points: tuple[str, ...] = option((), as_texts, "patterns of the only paths to look at (all)")
    ignore_mount_points: tuple[str, ...] = option((), as_texts, "patterns of paths to leave out")
    ignore_fs: tuple[str, ...] = option(_IGNORED, as_texts, "patterns of file system types to leave out")
    ignore_mount_opts: tuple[str, ...] = option(("bind",), as_texts, "mount options to leave out; `bind` for binds")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system; `options` are its own and its superblock's, and `bind` where only a part is mounted."""

    path: str
    device: str
    fstype: str
    options: frozenset[str]
    number: str

    @property
    def mode(self) -> str:
        """`ro` where either the mount or the file system below it is read-only."""
        return "ro" if "ro" in self.options else "rw" if "rw" in self.options else "unknown"


_OCTAL: Final = re.compile(rb"\\([0-7]{3})")


def _unescape(text: bytes) -> str:
    return os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match.group(1), 8) & 255]), text))


def parse_mountinfo(data: bytes) -> list[Mount]:
    """The mounts that can be seen: of several on one path, the last. Format: proc_pid_mountinfo(5)."""
    mounts: dict[str, Mount] = {}
    for line in data.splitlines():
        own, separator, below = line.partition(b" - ")
        own_parts, below_parts = own.split(b" "), below.split(b" ")
        if not separator or len(own_parts) < 6 or len(below_parts) < 3:
            continue
        root, fstype = own_parts[3], _unescape(below_parts[0])
        options = set(own_parts[5].split(b",")) | (set(below_parts[2].split(b",")) - {b"rw"})
        if root != b"/" and fstype != "btrfs":  # there every subvolume is mounted by its path
            options.add(b"bind")
        path = _unescape(own_parts[4])
        mounts.pop(path, None)
        mounts[path] = Mount(
            path, _unescape(below_parts[1]), fstype, frozenset(map(os.fsdecode, options)), _unescape(own_parts[2])
        )
    return list(mounts.values())


def read_mountinfo() -> bytes:
    """The first process's mounts, or our own where we may not see those."""
    try:
        return hostfs.read(hostfs.proc("1/mountinfo"))
    except (FileNotFoundError, PermissionError):
        return hostfs.read(hostfs.proc("self/mountinfo"))


def _portable_mounts() -> list[Mount]:
    return [
        Mount(part.mountpoint, part.device, part.fstype, frozenset(part.opts.split(",")), "")
        for part in psutil.disk_partitions(all=False)
    ]


def device_name(mount: Mount) -> str:
    """The kernel's name of a mount's device, as `diskio.name` has it; where it has none, what was mounted."""
    if mount.device in ("", "none"):
        return mount.fstype
    if mount.device == "/dev/root" or mount.device.startswith("/dev/mapper/"):
        link = hostfs.absent(os.readlink, hostfs.sys(f"dev/block/{mount.number}"))
        if link is not None:
            return os.path.basename(link)
    return mount.device.replace("/dev/", "")


_UDEV_LABEL: Final = re.compile(rb"^E:ID_FS_LABEL=(.+)$", re.MULTILINE)


def label(mount: Mount, device: str) -> str:
    """The device mapper's name, else the file system's label as udev knows it, else empty."""
    name = hostfs.read_if_there(hostfs.sys(f"block/{device}/dm/name")) if "/" not in device else None
    if name is None:
        known = hostfs.read_if_there(f"/run/udev/data/b{mount.number}") if mount.number else None
        match = _UDEV_LABEL.search(known) if known is not None else None
        name = match.group(1) if match is not None else b""
    return os.fsdecode(name.strip())


def usage(status: os.statvfs_result) -> dict[str, FieldValue] | None:
    """The fields of one file system; None where it holds nothing at all."""
    if status.f_blocks == 0:
        return None
    size = status.f_frsize
    free, used = status.f_bavail * size, (status.f_blocks - status.f_bfree) * size
    inodes_used = status.f_files - status.f_ffree
    return {
        "total": status.f_blocks * size,
        "free": free,
        "used": used,
        "used_percent": 100.0 * used / (used + free) if used + free else 0.0,
        "inodes_total": status.f_files,
        "inodes_free": status.f_ffree,
        "inodes_used": inodes_used,
        "inodes_used_percent": 100.0 * inodes_used / status.f_files if status.f_files else 0.0,
    }


class Mounts:
    """The mounts that are looked at, with their tags; made anew only when what is mounted changes."""

    def __init__(self, options: DiskOptions) -> None:
        self._paths = NameFilter(options.mount_points, options.ignore_mount_points)
        self._types = NameFilter(ignore=options.ignore_fs)
        self._ignored_options = frozenset(options.ignore_mount_opts)
        self._source = b""
        self._tags: list[dict[str, str]] = []

    def tags(self) -> list[dict[str, str]]:
        """Tags of each, `path` among them."""
        if not psutil.LINUX:
            return [_tags(mount) for mount in _portable_mounts() if self._wanted(mount)]
        source = read_mountinfo()
        if source != self._source:
            self._tags = [_tags(mount) for mount in parse_mountinfo(source) if self._wanted(mount)]
            self._source = source
        return self._tags

    def _wanted(self, mount: Mount) -> bool:
        # The root is looked at even where it is a part of something (a container's, an ostree's).
        hidden = self._ignored_options & mount.options if mount.path != "/" else frozenset()
        return self._types.allows(mount.fstype) and self._paths.allows(mount.path) and not hidden


def make(options: DiskOptions, _: Context) -> Gatherer:
    mounts = Mounts(options)

    def gather(time: int, _: float) -> Iterable[Point]:
        for tags in mounts.tags():
            status = hostfs.absent(os.statvfs, tags["path"])
            values = usage(status) if status is not None else None
            if values is not None:
                yield Point("disk", tags, values, time)

    return gather


def _tags(mount: Mount) -> dict[str, str]:
    device = device_name(mount)
    tags = {"path": mount.path, "device": device, "fstype": mount.fstype, "mode": mount.mode}
    name = label(mount, device)
    return {**tags, "label": name} if name else tags


METRIC: Final = Metric("disk", make, (DISK,), DiskOptions, default=True)
