"""The report of a large fleet: read, judge, write; each as a multiple of reading the bare rows.

    python benchmarks/report.py [--instances 100000]

One in 40 is drifted, one in 70 stopped, one in 90 has a login. Every step runs in a process of its own, so that its
peak of memory (VmHWM) is its own.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from drift_agent.line_protocol import Encoder
from drift_agent.model import Point
from drift_agent.schema import DRIFT
from drift_collector.fleet.model import Fleet, Trusted
from drift_collector.fleet.read import judged
from drift_collector.fleet.systemic import with_systemic
from drift_collector.report.columns import plain_lines
from drift_collector.report.document import report_json
from drift_collector.store.base import DriftReport
from drift_collector.store.lines import Line, read_lines
from drift_collector.store.sqlite import SqliteStore
from drift_collector.store.sqlite_write import SqliteWriter
from store import NOW, SECOND, apart, peak_mib

DIGEST = f"1:sha256:{'a' * 64}"
POLICY = f"1:sha256:{'b' * 64}"
GROUPS = ("api", "web", "worker")
TRUSTED = {f"{group}@7": Trusted(f"{group}@7", DIGEST, POLICY) for group in GROUPS}


def report(number: int) -> DriftReport:
    """The newest report of one instance."""
    group = GROUPS[number % 3]
    healthy = DriftReport(
        time=NOW - 10 * SECOND + number, instance=f"i-{number * 7919:017x}", host=f"{group}-{number}",
        image=f"{group}@7", group=group, state="clean",
        manifest=DIGEST, observed=DIGEST, seal=DIGEST, policy=POLICY, agent_version="1.0.0",
        boot_id="12345678-1234-1234-1234-123456789012", scanned=5000, seq=7, since=NOW - 3600 * SECOND,
        sealed=NOW - 7200 * SECOND, scan_at=NOW - 300 * SECOND, interval=60, scan_interval=900,
    )  # fmt: skip
    if number % 40 == 7:
        return replace(healthy, state="drifted", modified=2, report=NOW - 20 * SECOND)
    if number % 70 == 9:
        return replace(healthy, state="stopped")
    return replace(healthy, state="tainted", logins=1) if number % 90 == 3 else healthy


def fill(path: str, instances: int) -> str:
    """Writes a report of each instance."""
    encoder, writer = Encoder(), SqliteWriter(path)
    for start in range(0, instances, 5_000):
        points = []
        for one in map(report, range(start, min(instances, start + 5_000))):
            tags = {"instance": one.instance, "host": one.host, "image": one.image, "group": one.group}
            points.append(Point(DRIFT.name, tags, {name: getattr(one, name) for name in DRIFT.fields}, one.time))
        text = "\n".join(map(encoder.line, points))
        assert not writer.write([line for line in read_lines(text, NOW) if isinstance(line, Line)])
    writer.close()
    return f"{instances:,} instances"


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and in how many seconds."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def bare(path: str) -> float:
    """Seconds for reading the rows, and nothing else."""
    connection = sqlite3.connect(path)
    _, seconds = timed(lambda: sum(1 for _ in connection.execute("SELECT * FROM newest")))
    connection.close()
    return seconds


def read_fleet(path: str, trusted: dict[str, Trusted] | None) -> Fleet:
    """As `drift report` does it."""
    store = SqliteStore(path)
    try:
        return with_systemic(judged(store, NOW, trusted), store.items)
    finally:
        store.close()


def bench_judge(path: str, trust: bool) -> str:
    base = bare(path)
    fleet, seconds = timed(lambda: read_fleet(path, TRUSTED if trust else None))
    counts = ", ".join(f"{count} {state}" for state, count in fleet.summary().items() if count)
    name = "against trusted manifests" if trust else "on the agents' word"
    rate = f"{seconds:.2f} s, {seconds / base:.1f} times the bare rows"
    return f"read and judge {name}: {rate}, peak {peak_mib():.0f} MiB ({counts})"


def bench_write(path: str, form: str) -> str:
    base = bare(path)
    fleet = read_fleet(path, None)
    write = {"json": lambda: report_json(fleet, NOW), "table": lambda: "\n".join(plain_lines(fleet.verdicts, NOW))}[
        form
    ]
    text, seconds = timed(write)
    rate = f"{seconds:.2f} s, {seconds / base:.1f} times the bare rows"
    return f"write {form}: {rate}, {len(text) >> 20} MiB, peak {peak_mib():.0f} MiB"


def main() -> None:
    """Runs the steps one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=100_000)
    instances = parser.parse_args().instances
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/store.db"
        apart(fill, path, instances)
        for trust in (False, True):
            apart(bench_judge, path, trust)
        for form in ("json", "table"):
            apart(bench_write, path, form)


if __name__ == "__main__":
    main()
