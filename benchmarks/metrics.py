"""CPU of one sample of the default metrics, beside other agents doing the same at the same time.

    python benchmarks/metrics.py [--seconds 30]

Every program samples once a second in a process of its own: ours (gathered and encoded), Debian's collectd and
prometheus-node-exporter, and Telegraf where the environment names it (TELEGRAF). All gather all that we do by default
every time; ours once more as it is configured by default, the four dear metrics every 10 s.

What counts is the time on a processor (/proc/PID/task/*/schedstat), without start-up. Absolute figures swing with what
else the machine does: the ratios of one run are what can be compared.
"""

import argparse
import http.client
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from drift_agent.clock import SystemClock
from drift_agent.config import MetricsOptions
from drift_agent.line_protocol import Encoder
from drift_agent.metrics import METRIC_NAMES
from drift_agent.metrics.runner import Runner
from processes import processor_seconds, started

INPUTS: Final = ("cpu", "mem", "swap", "disk", "diskio", "net", "system", "processes", "kernel", "internal")
"""What `telegraf` and `driftline` have in common: all that we gather by default."""

PEERS: Final = ("collectd", "node_exporter", "telegraf")
WARM_UP: Final = 3.0
LIMITS: Final = {"collectd": 0.5, "telegraf": 0.25}
LIMIT_MS: Final = 2.0

COLLECTD: Final = """
Hostname "bench"
Interval 1
BaseDir "{folder}"
PIDFile "{folder}/pid"
{plugins}
"""
CSV: Final = '\n<Plugin csv>\nDataDir "{folder}/csv"\n</Plugin>\n'
TELEGRAF: Final = '[agent]\ninterval = "1s"\nflush_interval = "10s"\n[[outputs.file]]\nfiles = ["/dev/null"]\n'


def run_ours(which: str) -> None:
    """Samples once a second, as the daemon does, until it is killed."""
    own = {name: {"interval": "1s"} for name in METRIC_NAMES} if which == "everything" else {}
    runner = Runner(MetricsOptions(own=own), 1.0, SystemClock())
    encoder = Encoder({"host": "bench", "image": "web@1", "group": "default"})
    due = time.monotonic()
    while True:
        for point in runner.gather(time.time_ns(), time.monotonic()):
            encoder.line(point)
        due += 1.0
        time.sleep(max(0.0, due - time.monotonic()))


def collectd(program: str, folder: str) -> list[str]:
    inputs = ("cpu", "memory", "swap", "vmem", "load", "df", "disk", "interface", "protocols", "users", "uptime")
    plugins = (*inputs, "processes", "contextswitch", "entropy", "csv")
    text = "\n".join(f"LoadPlugin {name}" for name in plugins) + CSV.format(folder=folder)
    Path(folder, "collectd.conf").write_text(COLLECTD.format(folder=folder, plugins=text))
    return [program, "-f", "-C", f"{folder}/collectd.conf"]


def telegraf(program: str, folder: str) -> list[str]:
    Path(folder, "telegraf.conf").write_text(TELEGRAF + "".join(f"[[inputs.{name}]]\n" for name in INPUTS))
    return [program, "--config", f"{folder}/telegraf.conf", "--quiet"]


def node_exporter(program: str, port: int) -> list[str]:
    system = ("cpu", "meminfo", "vmstat", "loadavg", "uname", "time", "stat", "processes", "pressure", "entropy")
    collectors = (*system, "filesystem", "diskstats", "netdev", "netclass", "netstat")
    return [
        program,
        "--collector.disable-defaults",
        f"--web.listen-address=127.0.0.1:{port}",
        *(f"--collector.{name}" for name in collectors),
    ]


def scrape(port: int) -> None:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/metrics")
        connection.getresponse().read()
        connection.close()
    except OSError:
        pass  # not up yet


def measure(pids: dict[str, int], seconds: float, each_second: Callable[[], None]) -> dict[str, float]:
    """Milliseconds on a processor for each second of every process."""
    for _ in range(int(WARM_UP)):
        each_second()
        time.sleep(1)
    before = {name: processor_seconds(pid) for name, pid in pids.items()}
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        each_second()
        time.sleep(1)
    elapsed = time.monotonic() - begun
    return {name: (processor_seconds(pid) - before[name]) / elapsed * 1000 for name, pid in pids.items()}


def main() -> int:
    """Prints a line for each program; 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--ours", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        run_ours(options.ours)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        commands = {
            "driftline": [sys.executable, __file__, "--ours", "everything"],
            "  by default": [sys.executable, __file__, "--ours", "default"],
        }
        path = [*os.get_exec_path(), "/usr/sbin"]
        if program := shutil.which("collectd", path=":".join(path)):
            commands["collectd"] = collectd(program, folder)
        if program := shutil.which("prometheus-node-exporter"):
            commands["node_exporter"] = node_exporter(program, port)
        if program := os.environ.get("TELEGRAF", ""):
            commands["telegraf"] = telegraf(program, folder)
        pids = {name: stack.enter_context(started(command)) for name, command in commands.items()}
        found = measure(pids, options.seconds, lambda: scrape(port))
    ours, by_default = found["driftline"], found["  by default"]
    passed = [f"by default {by_default:.2f} ms > {LIMIT_MS} ms"] if by_default > LIMIT_MS else []
    for name, spent in found.items():
        ratio = ours / spent
        beside = f"   ours is {ratio:.2f} of it" if name in PEERS else ""
        print(f"{name:14} {spent:6.2f} ms of CPU a sample{beside}")
        if ratio > LIMITS.get(name, float("inf")):
            passed.append(f"{ratio:.2f} x {name} > {LIMITS[name]}")
    for limit in passed:
        print(f"over the limit: {limit}")
    return 1 if passed else 0


if __name__ == "__main__":
    sys.exit(main())
