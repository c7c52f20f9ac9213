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
    b"R": "running", b"S": "sleeping", b"D": "blocked", b"Z": "zombies", b"X": "dead", b"x": "dead", b"T": "stopped",
    b"t": "stopped", b"W": "paging", b"I": "idle", b"P": "parked",
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
_LINE_BYTES: Final = 1024
_THREADS: Final = 17  # of the columns behind the name: proc_pid_stat(5), num_threads


def count() -> dict[str, FieldValue]:
    """The fields of `processes`, from every `/proc/PID/stat`. Processes that end meanwhile are not counted."""
    root = hostfs.proc("")
    states: dict[bytes, int] = {}
    threads = 0
    # The dearest loop of all metrics, once for every process: descriptors and bytes, and nothing else.
    for entry in os.listdir(root):
        if not entry.isdecimal():
            continue
        try:
            descriptor = os.open(f"{root}{entry}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):  # ended; or hidden from us (hidepid)
            continue
        try:
            status = os.read(descriptor, _LINE_BYTES)
        except ProcessLookupError:
            continue
        finally:
            os.close(descriptor)
        # A name may hold anything, parentheses too: the columns begin behind the last one.
        columns = status[status.rfind(b")") + 2 :].split(b" ", _THREADS + 1)
        if len(columns) > _THREADS:
            states[columns[0]] = states.get(columns[0], 0) + 1
            threads += int(columns[_THREADS])
    counts = Counter[str]()
    for state, number in states.items():
        counts[_STATES.get(state, "unknown")] += number
    return {**dict.fromkeys(_ON_LINUX, 0), **counts, "total": counts.total(), "total_threads": threads}


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
