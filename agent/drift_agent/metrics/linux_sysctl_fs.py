"""linux_sysctl_fs: files, inodes and directory entries that the kernel holds. Source: `/proc/sys/fs`."""

from collections.abc import Iterable
from typing import Final

from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import INT64_MAX, Measurement, fields

# What the columns of each file are called; an empty name is a column that says nothing.
_FILES: Final = {
    "aio-nr": ("aio-nr",),
    "aio-max-nr": ("aio-max-nr",),
    "dquot-nr": ("dquot-nr",),
    "dquot-max": ("dquot-max",),
    "super-nr": ("super-nr",),
    "super-max": ("super-max",),
    "inode-state": ("inode-nr", "inode-free-nr", "inode-preshrink-nr"),
    "dentry-state": ("dentry-nr", "dentry-unused-nr", "dentry-age-limit", "dentry-want-pages"),
    "file-nr": ("file-nr", "", "file-max"),
}

LINUX_SYSCTL_FS: Final = Measurement(
    "linux_sysctl_fs",
    "Files, inodes and directory entries that the kernel holds, and how many it may.",
    (),
    fields("i", "1", " ".join(name for names in _FILES.values() for name in names)),
)


def make(_: MetricOptions, __: Context) -> Gatherer:
    def gather(time: int, _: float) -> Iterable[Point]:
        values: dict[str, FieldValue] = {}
        for file, names in _FILES.items():
            columns = (hostfs.read_if_there(hostfs.proc(f"sys/fs/{file}")) or b"").split()
            for name, number in zip(names, columns, strict=False):
                if name:
                    values[name] = min(int(number), INT64_MAX)  # file-max may be 2^64 - 1: no limit
        if values:
            yield Point("linux_sysctl_fs", {}, values, time)

    return gather


METRIC: Final = Metric("linux_sysctl_fs", make, (LINUX_SYSCTL_FS,))
