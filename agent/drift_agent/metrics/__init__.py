"""One file a subject, and one ordered list of them."""

from collections.abc import Mapping
from typing import Final

from drift_agent.metrics import (
    conntrack,
    cpu,
    disk,
    diskio,
    internal,
    kernel,
    linux_sysctl_fs,
    mem,
    net,
    netstat,
    nginx,
    nstat,
    pressure,
    processes,
    swap,
    system,
)
from drift_agent.metrics.metric import Metric, MetricOptions
from drift_agent.schema import Measurement

METRICS: Final[tuple[Metric, ...]] = (
    cpu.METRIC,
    mem.METRIC,
    swap.METRIC,
    disk.METRIC,
    diskio.METRIC,
    net.METRIC,
    system.METRIC,
    kernel.METRIC,
    pressure.METRIC,
    processes.METRIC,
    netstat.METRIC,
    nstat.METRIC,
    conntrack.METRIC,
    linux_sysctl_fs.METRIC,
    nginx.METRIC,
    internal.METRIC,
)
"""Every metric there is, in the order of gathering."""

METRIC_NAMES: Final = tuple(metric.name for metric in METRICS)

METRIC_OPTIONS: Final[Mapping[str, type[MetricOptions]]] = {metric.name: metric.options for metric in METRICS}
"""What `[metrics.NAME]` may hold, by name."""

MEASUREMENTS: Final[Mapping[str, Measurement]] = {one.name: one for metric in METRICS for one in metric.measurements}
