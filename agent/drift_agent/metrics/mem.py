"""mem: main memory. Source: `/proc/meminfo`, psutil elsewhere."""

from collections.abc import Iterable
from typing import Final

import psutil

from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Measurement, fields

_FROM_MEMINFO: Final = {
    "active": "Active",
    "buffered": "Buffers",
    "commit_limit": "CommitLimit",
    "committed_as": "Committed_AS",
    "dirty": "Dirty",
    "free": "MemFree",
    "high_free": "HighFree",
    "high_total": "HighTotal",
    "huge_page_size": "Hugepagesize",
    "huge_pages_free": "HugePages_Free",
    "huge_pages_total": "HugePages_Total",
    "inactive": "Inactive",
    "low_free": "LowFree",
    "low_total": "LowTotal",
    "mapped": "Mapped",
    "page_tables": "PageTables",
    "shared": "Shmem",
    "slab": "Slab",
    "sreclaimable": "SReclaimable",
    "sunreclaim": "SUnreclaim",
    "swap_cached": "SwapCached",
    "swap_free": "SwapFree",
    "swap_total": "SwapTotal",
    "vmalloc_chunk": "VmallocChunk",
    "vmalloc_total": "VmallocTotal",
    "vmalloc_used": "VmallocUsed",
    "write_back": "Writeback",
    "write_back_tmp": "WritebackTmp",
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
    total = meminfo["MemTotal"]
    cached = meminfo.get("Cached", 0) + meminfo.get("SReclaimable", 0)
    # MemAvailable came with Linux 3.14; before that, what free(1) took for it.
    available = meminfo.get("MemAvailable", meminfo["MemFree"] + meminfo.get("Buffers", 0) + cached)
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
