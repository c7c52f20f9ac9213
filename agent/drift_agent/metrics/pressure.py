"""pressure: the share of time that work waited for processors, memory or disks. Source: `/proc/pressure` (PSI)."""

import re
from collections.abc import Iterable
from typing import Final

from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Field, Measurement, fields

PRESSURE: Final = Measurement(
    "pressure",
    "Pressure stall information: how long some (or all, `full`) work waited for a resource.",
    ("resource", "type"),
    {**fields("f", "percent", "avg10 avg60 avg300"), "total": Field("i", "us", "since boot")},
)
_LINE: Final = re.compile(rb"^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d+)$", re.MULTILINE)
# Of a whole machine's processors nothing can be said for `full`: newer kernels print zeros there.
_RESOURCES: Final = {"cpu": ("some",), "memory": ("some", "full"), "io": ("some", "full")}


def parse(data: bytes) -> dict[str, dict[str, FieldValue]]:
    """Fields by type, of one file of `/proc/pressure`."""
    return {
        kind.decode(): {"avg10": float(ten), "avg60": float(sixty), "avg300": float(more), "total": int(total)}
        for kind, ten, sixty, more, total in _LINE.findall(data)
    }


def make(_: MetricOptions, __: Context) -> Gatherer:
    def gather(time: int, _: float) -> Iterable[Point]:
        for resource, types in _RESOURCES.items():
            data = hostfs.read_if_there(hostfs.proc(f"pressure/{resource}"))
            for kind, values in parse(data or b"").items():
                if kind in types:
                    yield Point("pressure", {"resource": resource, "type": kind}, values, time)

    return gather


METRIC: Final = Metric("pressure", make, (PRESSURE,), default=True, least_interval=10.0)
