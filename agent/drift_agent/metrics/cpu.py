"""cpu: how the processors spent their time since the last sample. Source: `/proc/stat`, psutil elsewhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from drift_agent.config import as_boolean, option
from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import Point
from drift_agent.schema import Measurement, fields

CPU: Final = Measurement(
    "cpu",
    "How the processors spent their time since the last sample; `cpu-total` is all of them.",
    ("cpu",),
    fields(
        "f",
        "percent",
        "usage_user usage_system usage_idle usage_nice usage_iowait usage_irq usage_softirq usage_steal usage_guest"
        " usage_guest_nice",
    ),
)
TOTAL: Final = "cpu-total"

# In the order of /proc/stat. The first eight add up to all of the time: guests are part of user and nice.
_STATES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
_EXCLUSIVE: Final = 8
Times = Sequence[float]


@dataclass(frozen=True, slots=True)
class CpuOptions(MetricOptions):
    """`[metrics.cpu]`"""

    percpu: bool = option(True, as_boolean, "a series for each processor too")


def read_times() -> dict[str, Times]:
    """Time spent in each state since boot, by processor (`cpu0` …) and for all (`cpu-total`), in any unit."""
    if not psutil.LINUX:
        return _portable_times()
    times: dict[str, Times] = {}
    for line in hostfs.read(hostfs.proc("stat")).splitlines():
        if not line.startswith(b"cpu"):
            break
        name, *numbers = line.split()
        values = [int(number) for number in numbers[: len(_STATES)]]
        values += [0] * (len(_STATES) - len(values))  # guests came with Linux 2.6.24 and 2.6.33
        times[TOTAL if name == b"cpu" else name.decode()] = values
    return times


def _portable_times() -> dict[str, Times]:
    each = {f"cpu{number}": times for number, times in enumerate(psutil.cpu_times(percpu=True))}
    return {
        name: [getattr(times, state, 0.0) for state in _STATES]
        for name, times in {TOTAL: psutil.cpu_times(), **each}.items()
    }


def usage(before: Times, now: Times) -> dict[str, float] | None:
    """Percent of the time between two readings; None where no time passed, or it ran backwards (a hot-plug)."""
    spent = [later - earlier for earlier, later in zip(before, now, strict=True)]
    total = sum(spent[:_EXCLUSIVE])
    if total <= 0:
        return None
    spent[0] -= spent[8]
    spent[1] -= spent[9]
    # iowait may step back by a tick.
    return {f"usage_{state}": max(0.0, 100.0 * ticks / total) for state, ticks in zip(_STATES, spent, strict=True)}


def make(options: CpuOptions, _: Context) -> Gatherer:
    last: dict[str, Times] = {}

    def gather(time: int, _: float) -> Iterable[Point]:
        nonlocal last
        before, last = last, read_times()
        for name, now in last.items():
            if name in before and (options.percpu or name == TOTAL):
                values = usage(before[name], now)
                if values is not None:
                    yield Point("cpu", {"cpu": name}, values, time)

    return gather


METRIC: Final = Metric("cpu", make, (CPU,), CpuOptions, default=True)
