"""kernel: what the kernel counts of itself, same-page merging included. Source: `/proc/stat`, `/sys/kernel/mm/ksm`."""

import re
from collections.abc import Iterable
from typing import Final

import psutil

from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Field, Measurement, fields

_KSM: Final = (
    "full_scans", "general_profit", "max_page_sharing", "merge_across_nodes", "pages_shared", "pages_sharing",
    "pages_to_scan", "pages_unshared", "pages_volatile", "run", "sleep_millisecs", "stable_node_chains",
    "stable_node_chains_prune_millisecs", "stable_node_dups", "use_zero_pages",
)  # fmt: skip

KERNEL: Final = Measurement(
    "kernel",
    "What the kernel counts since boot.",
    (),
    {
        "boot_time": Field("i", "s", "Unix time"),
        "entropy_avail": Field("i", "bits", "256 on every kernel since 5.18"),
        **fields("i", "1", "context_switches interrupts processes_forked"),
        **{name: Field("i", "1", "on kernels before 2.6 only") for name in ("disk_pages_in", "disk_pages_out")},
        **{f"ksm_{name}": Field("i", "1", "where the kernel merges same pages") for name in _KSM},
    },
)
_STAT: Final = re.compile(rb"^(intr|ctxt|btime|processes|page) (\d+)(?: (\d+))?", re.MULTILINE)
_NAMES: Final = {
    b"intr": "interrupts",
    b"ctxt": "context_switches",
    b"btime": "boot_time",
    b"processes": "processes_forked",
    b"page": "disk_pages_in",
}


def read_kernel() -> dict[str, FieldValue]:
    """The fields that this kernel has."""
    values: dict[str, FieldValue] = {}
    for name, number, second in _STAT.findall(hostfs.read(hostfs.proc("stat"))):
        values[_NAMES[name]] = int(number)
        if name == b"page" and second:
            values["disk_pages_out"] = int(second)
    entropy = hostfs.read_int(hostfs.proc("sys/kernel/random/entropy_avail"))
    if entropy is not None:
        values["entropy_avail"] = entropy
    for name in _KSM:
        number = hostfs.read_int(hostfs.sys(f"kernel/mm/ksm/{name}"))
        if number is not None:
            values[f"ksm_{name}"] = number
    return values


def make(_: MetricOptions, __: Context) -> Gatherer:
    def gather(time: int, _: float) -> Iterable[Point]:
        values = read_kernel() if psutil.LINUX else {"boot_time": int(psutil.boot_time())}
        yield Point("kernel", {}, values, time)

    return gather


METRIC: Final = Metric("kernel", make, (KERNEL,), default=True, least_interval=10.0)
