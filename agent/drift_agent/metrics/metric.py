"""What a metric is: a name, its keys in the configuration, its measurements, and how its gatherer is made."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from drift_agent.config import as_interval, option
from drift_agent.model import Point
from drift_agent.schema import Measurement

Gatherer: TypeAlias = Callable[[int, float], Iterable[Point]]
"""`gather(time, monotonic)`: the points of one sample, stamped `time` (ns); `monotonic` seconds are what rates are
measured over. What the machine does not have gives no point; what cannot be read raises, and the runner counts it."""


@dataclass(frozen=True, slots=True)
class MetricOptions:
    """`[metrics.NAME]`: the keys that every metric has."""

    interval: float = option(0.0, as_interval, "how often it is gathered (the agent's interval, or 10s where dear)")


@dataclass(slots=True)
class GatherStats:
    """What the runner counts of one metric, since start; the fields of `internal_gather`."""

    metrics_gathered: int = 0
    gather_time_ns: int = 0
    gather_errors: int = 0
    gather_timeouts: int = 0
    metrics_rejected: int = 0


@dataclass(frozen=True, slots=True)
class OutputStats:
    """What is known of one output, counted since start; the fields of `internal_write`."""

    output: str
    metrics_written: int = 0
    metrics_dropped: int = 0
    metrics_rejected: int = 0
    write_errors: int = 0
    write_time_ns: int = 0
    buffer_size: int = 0
    buffer_limit: int = 0


@dataclass(frozen=True, slots=True)
class Context:
    """What a gatherer may need beyond its own options."""

    gathers: dict[str, GatherStats] = field(default_factory=dict)
    """By metric's name; the runner writes it, `internal` reads it."""

    outputs: Callable[[], Sequence[OutputStats]] = tuple
    """The outputs as they stand."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One subject that is gathered.

    `default`: gathered unless disabled. `least_interval`: seconds below which it is not gathered unless its own
    `interval` says so.
    """

    name: str
    make: Callable[[Any, Context], Gatherer]
    measurements: tuple[Measurement, ...]
    options: type[MetricOptions] = MetricOptions
    default: bool = False
    least_interval: float = 0.0
