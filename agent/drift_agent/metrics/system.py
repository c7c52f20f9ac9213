"""system: load, users, processors, uptime. Source: `/proc/loadavg`, `/proc/uptime` and psutil."""

import math
import os
import time as clock
from collections.abc import Iterable
from typing import Final

import psutil

from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Field, Measurement, fields

SYSTEM: Final = Measurement(
    "system",
    "Load, users, processors, uptime.",
    (),
    {
        **fields("f", "1", "load1 load5 load15"),
        "n_users": Field("i", "1", "sessions in utmp, where there is one"),
        "n_unique_users": Field("i", "1", "users in utmp, where there is one"),
        "n_cpus": Field("i", "1", "processors that are online"),
        "n_physical_cpus": Field("i", "1", "their cores"),
        "uptime": Field("i", "s", "rounded up"),
        "uptime_format": Field("s", "", '"14 days, 11:07"'),
    },
)
UTMP: Final = ("/run/utmp", "/var/run/utmp")


def format_uptime(seconds: int) -> str:
    """As uptime(1) and Telegraf say it: `14 days, 11:07`, ` 1:29`."""
    minutes = seconds // 60
    days, hours = seconds // 86400, minutes // 60 % 24
    prefix = f"{days} day{'s' if days > 1 else ''}, " if days else ""
    return f"{prefix}{hours:2d}:{minutes % 60:02d}"


def read_load() -> tuple[float, float, float]:
    """Load averages over 1, 5 and 15 minutes."""
    if not psutil.LINUX:
        return os.getloadavg()
    one, five, fifteen = hostfs.read(hostfs.proc("loadavg")).split()[:3]
    return float(one), float(five), float(fifteen)


def read_uptime() -> int:
    """Seconds since boot, rounded up."""
    if not psutil.LINUX:
        return math.ceil(clock.time() - psutil.boot_time())
    return math.ceil(float(hostfs.read(hostfs.proc("uptime")).split()[0]))


class Processors:
    """Counts of processors and cores; cores are counted anew only when the processors change."""

    def __init__(self) -> None:
        self._processors = 0
        self._cores = 0

    def read(self) -> dict[str, FieldValue]:
        processors = psutil.cpu_count() or 0
        if processors != self._processors:
            self._processors = processors
            self._cores = psutil.cpu_count(logical=False) or processors
        return {"n_cpus": processors, "n_physical_cpus": self._cores}


def _read_users() -> dict[str, FieldValue]:
    # systemd without utmp support (Debian 13 and later) has no such file: then the fields are absent, not 0.
    if psutil.LINUX and not any(os.path.exists(path) for path in UTMP):
        return {}
    users = psutil.users()
    return {"n_users": len(users), "n_unique_users": len({user.name for user in users})}


def make(_: MetricOptions, __: Context) -> Gatherer:
    processors = Processors()

    def gather(time: int, _: float) -> Iterable[Point]:
        one, five, fifteen = read_load()
        uptime = read_uptime()
        values: dict[str, FieldValue] = {
            "load1": one, "load5": five, "load15": fifteen,
            "uptime": uptime, "uptime_format": format_uptime(uptime),
            **processors.read(), **_read_users(),
        }  # fmt: skip
        yield Point("system", {}, values, time)

    return gather


METRIC: Final = Metric("system", make, (SYSTEM,), default=True)
