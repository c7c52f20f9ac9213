"""processes: how many there are in each state. Source: `/proc/PID/stat`, psutil elsewhere."""

import os
from collections import Counter
from collections.abc import Iterable
from typing import Final

import psutil

from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Field, Measurement, fields

_STATES: Final = {
    "R": "running", "S": "sleeping", "D": "blocked", "Z": "zombies", "X": "dead", "x": "dead", "T": "stopped",
    "t": "stopped", "W": "paging", "I": "idle", "P": "parked",
}  # fmt: skip

PROCESSES: Final = Measurement(
    "processes",
    "Processes by state, and the threads of all of them.",
    (),
    {
        **fields("i", "1", "blocked zombies stopped running sleeping total unknown dead paging idle total_threads"),
        "parked": Field("i", "1", "only where there are some"),
    },
)
_EVERYWHERE: Final = ("blocked", "zombies", "stopped", "running", "sleeping", "unknown", "total", "idle")
_ON_LINUX: Final = (*_EVERYWHERE, "dead", "paging", "total_threads")
_THREADS: Final = 17  # of the columns behind the name: proc_pid_stat(5), num_threads


def count() -> dict[str, FieldValue]:
    """The fields of `processes`, from every `/proc/PID/stat`. Processes that end meanwhile are not counted."""
    counts: Counter[str] = Counter()
    threads = total = 0
    for entry in os.listdir(hostfs.proc("")):
        if not entry.isdecimal():
            continue
        status = hostfs.read_if_there(hostfs.proc(f"{entry}/stat"))
        # A name may hold anything, parentheses too: the columns begin behind the last one.
        columns = status[status.rfind(b")") + 2 :].split(None, _THREADS + 1) if status else []
        if len(columns) > _THREADS:
            counts[_STATES.get(columns[0].decode(), "unknown")] += 1
            threads += int(columns[_THREADS])
            total += 1
    return {**dict.fromkeys(_ON_LINUX, 0), **counts, "total": total, "total_threads": threads}


_PORTABLE: Final = {
    psutil.STATUS_RUNNING: "running",
    psutil.STATUS_SLEEPING: "sleeping",
    psutil.STATUS_STOPPED: "stopped",
    psutil.STATUS_ZOMBIE: "zombies",
    psutil.STATUS_IDLE: "idle",
    psutil.STATUS_DISK_SLEEP: "blocked",
}


def _portable_count() -> dict[str, FieldValue]:
    counts = Counter(_PORTABLE.get(process.info["status"], "unknown") for process in psutil.process_iter(["status"]))
    return {**dict.fromkeys(_EVERYWHERE, 0), **counts, "total": counts.total()}


def make(_: MetricOptions, __: Context) -> Gatherer:
    def gather(time: int, _: float) -> Iterable[Point]:
        yield Point("processes", {}, count() if psutil.LINUX else _portable_count(), time)

    return gather


METRIC: Final = Metric("processes", make, (PROCESSES,), default=True, least_interval=10.0)
