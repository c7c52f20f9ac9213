"""swap: swap space and what went through it. Source: `/proc/meminfo` and `/proc/vmstat`, psutil elsewhere."""

import re
from collections.abc import Iterable
from typing import Final

import psutil

from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Measurement, fields

SWAP: Final = Measurement(
    "swap",
    "Swap space, and the bytes swapped in and out since boot.",
    (),
    {**fields("i", "bytes", "total used free in out"), **fields("f", "percent", "used_percent")},
)
_PAGE: Final = 4096  # pswpin and pswpout: Telegraf takes 4 KiB whatever the page size
_SIZE: Final = re.compile(rb"^Swap(Total|Free): *(\d+) kB", re.MULTILINE)
_SWAPPED: Final = re.compile(rb"^pswp(in|out) (\d+)$", re.MULTILINE)


def read_swap() -> dict[str, FieldValue]:
    """Bytes: total, free, in, out."""
    sizes = dict(_SIZE.findall(hostfs.read(hostfs.proc("meminfo"))))
    vmstat = hostfs.read(hostfs.proc("vmstat"))
    swapped = {way.decode(): int(pages) * _PAGE for way, pages in _SWAPPED.findall(vmstat)}
    total, free = (int(sizes.get(name, 0)) << 10 for name in (b"Total", b"Free"))
    return {"total": total, "free": free, "in": 0, "out": 0, **swapped}


def _portable_swap() -> dict[str, FieldValue]:
    swap = psutil.swap_memory()
    return {"total": swap.total, "free": swap.free, "in": swap.sin, "out": swap.sout}


def make(_: MetricOptions, __: Context) -> Gatherer:
    def gather(time: int, _: float) -> Iterable[Point]:
        values = read_swap() if psutil.LINUX else _portable_swap()
        total, free = int(values["total"]), int(values["free"])
        values["used"] = total - free
        values["used_percent"] = 100.0 * (total - free) / total if total else 0.0
        yield Point("swap", {}, values, time)

    return gather


METRIC: Final = Metric("swap", make, (SWAP,), default=True)
