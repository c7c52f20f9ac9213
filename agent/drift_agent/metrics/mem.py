"""mem: main memory. Source: `/proc/meminfo`, psutil elsewhere."""

from collections.abc import Iterable
from typing import Final

import psutil

from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Measurement, fields

_FROM_MEMINFO: Final = {
    "active": b"Active",
    "buffered": b"Buffers",
    "commit_limit": b"CommitLimit",
    "committed_as": b"Committed_AS",
    "dirty": b"Dirty",
    "free": b"MemFree",
    "high_free": b"HighFree",
    "high_total": b"HighTotal",
    "huge_page_size": b"Hugepagesize",
    "huge_pages_free": b"HugePages_Free",
    "huge_pages_total": b"HugePages_Total",
    "inactive": b"Inactive",
    "low_free": b"LowFree",
    "low_total": b"LowTotal",
    "mapped": b"Mapped",
    "page_tables": b"PageTables",
    "shared": b"Shmem",
    "slab": b"Slab",
    "sreclaimable": b"SReclaimable",
    "sunreclaim": b"SUnreclaim",
    "swap_cached": b"SwapCached",
    "swap_free": b"SwapFree",
    "swap_total": b"SwapTotal",
    "vmalloc_chunk": b"VmallocChunk",
    "vmalloc_total": b"VmallocTotal",
    "vmalloc_used": b"VmallocUsed",
    "write_back": b"Writeback",
    "write_back_tmp": b"WritebackTmp",
}
_COUNTS: Final = "huge_pages_free huge_pages_total"

MEM: Final = Measurement(
    "mem",
    "Main memory. `used` is total - available; `cached` is the page cache and reclaimable slabs.",
    (),
    {
        **fields("i", "bytes", "total available used cached wired"),
        **fields("i", "bytes", " ".join(_FROM_MEMINFO)),
        **fields("i", "1", _COUNTS),
        **fields("f", "percent", "used_percent available_percent"),
    },
)


def read_memory() -> dict[str, FieldValue]:
    """All of the fields of `mem`; what a kernel does not report is 0, as in Telegraf."""
    meminfo = hostfs.keyed_kib(hostfs.read(hostfs.proc("meminfo")))
    values: dict[str, FieldValue] = {name: meminfo.get(key, 0) for name, key in _FROM_MEMINFO.items()}
    total = meminfo[b"MemTotal"]
    cached = meminfo.get(b"Cached", 0) + meminfo.get(b"SReclaimable", 0)
    # MemAvailable came with Linux 3.14; before that, what free(1) took for it.
    available = meminfo.get(b"MemAvailable", meminfo[b"MemFree"] + meminfo.get(b"Buffers", 0) + cached)
    values |= {"total": total, "available": available, "cached": cached, "used": total - available}
    return values


def _portable_memory() -> dict[str, FieldValue]:
    memory = psutil.virtual_memory()
    known = {name: getattr(memory, name) for name in ("active", "inactive", "wired", "free") if hasattr(memory, name)}
    return {**known, "total": memory.total, "available": memory.available, "used": memory.total - memory.available}


def make(_: MetricOptions, __: Context) -> Gatherer:
    def gather(time: int, _: float) -> Iterable[Point]:
        values = read_memory() if psutil.LINUX else _portable_memory()
        for part in ("used", "available"):
            values[f"{part}_percent"] = 100.0 * float(values[part]) / float(values["total"])
        yield Point("mem", {}, values, time)

    return gather


METRIC: Final = Metric("mem", make, (MEM,), default=True)
