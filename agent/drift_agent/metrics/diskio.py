"""diskio: what block devices did. Source: `/proc/diskstats` (kernel: admin-guide/iostats.rst), psutil elsewhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import psutil

from drift_agent.config import as_texts, option
from drift_agent.metrics import hostfs
from drift_agent.metrics.filters import NameFilter
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Measurement, fields

DISKIO: Final = Measurement(
    "diskio",
    "What each block device did since boot; the last three since the last sample.",
    ("name",),
    {
        **fields("i", "1", "reads writes merged_reads merged_writes iops_in_progress"),
        **fields("i", "bytes", "read_bytes write_bytes"),
        **fields("i", "ms", "read_time write_time io_time weighted_io_time"),
        **fields("f", "percent", "io_util"),
        **fields("f", "ms", "io_await io_svctm"),
    },
)
_SECTOR: Final = 512  # in /proc/diskstats, whatever the device has
Counters = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DiskioOptions(MetricOptions):
    """`[metrics.diskio]`"""

    devices: tuple[str, ...] = option((), as_texts, "patterns of the only devices to look at (all)")
    ignore_devices: tuple[str, ...] = option(
        ("loop*", "ram*", "zram*", "fd*"), as_texts, "patterns of devices to leave out"
    )


# In the order of /proc/diskstats, with what makes one of them ours.
_COLUMNS: Final = (
    ("reads", 1), ("merged_reads", 1), ("read_bytes", _SECTOR), ("read_time", 1),
    ("writes", 1), ("merged_writes", 1), ("write_bytes", _SECTOR), ("write_time", 1),
    ("iops_in_progress", 1), ("io_time", 1), ("weighted_io_time", 1),
)  # fmt: skip


def parse_diskstats(data: bytes, devices: NameFilter) -> dict[str, Counters]:
    """Counters by device, without those that never did anything. Times are ms."""
    counters: dict[str, Counters] = {}
    for line in data.splitlines():
        _, _, name, *numbers = line.split()
        if len(numbers) >= len(_COLUMNS) and devices.allows(name.decode()):
            values = {column: int(number) * unit for (column, unit), number in zip(_COLUMNS, numbers, strict=False)}
            if any(values.values()):
                counters[name.decode()] = values
    return counters


def _portable_counters(devices: NameFilter) -> dict[str, Counters]:
    names = {"reads": "read_count", "writes": "write_count"}
    wanted = ("reads", "writes", "read_bytes", "write_bytes", "read_time", "write_time")
    disks = psutil.disk_io_counters(perdisk=True) or {}
    return {
        disk: {column: getattr(found, names.get(column, column), 0) for column in wanted}
        for disk, found in disks.items()
        if devices.allows(disk)
    }


def rates(before: Counters, now: Counters, seconds: float) -> dict[str, float]:
    """What two readings say: share of the time busy (percent), mean wait and service time (ms) of an operation.

    Counters that ran backwards (a device that was made anew) give none.
    """
    if any(now[name] < before.get(name, 0) for name in ("reads", "writes", "io_time") if name in now):
        return {}
    moved = {name: now[name] - before.get(name, 0) for name in now}
    operations = moved["reads"] + moved["writes"]
    values: dict[str, float] = {}
    if "io_time" in moved:
        if seconds > 0:
            values["io_util"] = moved["io_time"] / (10.0 * seconds)
        if operations > 0:
            values["io_svctm"] = moved["io_time"] / operations
    if operations > 0:
        values["io_await"] = (moved["read_time"] + moved["write_time"]) / operations
    return values


def make(options: DiskioOptions, _: Context) -> Gatherer:
    devices = NameFilter(options.devices, options.ignore_devices)
    last: dict[str, Counters] = {}
    last_at = 0.0

    def gather(time: int, monotonic: float) -> Iterable[Point]:
        nonlocal last, last_at
        before, elapsed = last, monotonic - last_at
        if psutil.LINUX:
            last = parse_diskstats(hostfs.read(hostfs.proc("diskstats")), devices)
        else:
            last = _portable_counters(devices)
        last_at = monotonic
        for name, now in last.items():
            values: dict[str, FieldValue] = dict(now)
            if name in before:
                values |= rates(before[name], now, elapsed)
            yield Point("diskio", {"name": name}, values, time)

    return gather


METRIC: Final = Metric("diskio", make, (DISKIO,), DiskioOptions, default=True)
