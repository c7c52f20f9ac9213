"""The embedded store: lines taken in, and the newest report of a large fleet.

    python benchmarks/store.py [--instances 100000] [--reports 3]

Every step runs in a process of its own, so that its peak of memory (VmHWM) is its own. Series come shuffled: in their
order the same work is twice as fast.
"""

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from drift_agent.line_protocol import Encoder
from drift_agent.model import FieldValue, Point
from drift_agent.schema import DRIFT
from drift_collector.store.lines import Line, read_lines
from drift_collector.store.sqlite import SqliteStore
from drift_collector.store.sqlite_write import SqliteWriter

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
BATCH = 5_000
_ANY: dict[str, FieldValue] = {"i": 0, "s": "", "f": 1.5}
_DIGESTS = {
    name: f"1:sha256:{letter * 64}"
    for name, letter in zip(("manifest", "observed", "seal", "policy"), "aabc", strict=True)
}


def drift_lines(instances: int, turn: int) -> list[str]:
    """A report of each instance, in shuffled order."""
    encoder, numbers = Encoder(), list(range(instances))
    random.Random(turn).shuffle(numbers)
    values: dict[str, FieldValue] = {name: _ANY[field.type] for name, field in DRIFT.fields.items()}
    values |= {
        "state": "clean",
        "boot_id": "12345678-1234-1234-1234-123456789012",
        "agent_version": "0.1.0",
        **_DIGESTS,
    }
    lines = []
    for number in numbers:
        tags = {"instance": f"i-{number:017x}", "host": f"web-{number}", "image": f"web@{number % 3}", "group": "web"}
        stamp = NOW + turn * 60 * SECOND + number
        own = {
            "seq": turn,
            "sealed": NOW - SECOND,
            "since": NOW,
            "scan_at": stamp,
            "interval": 60,
            "scan_interval": 900,
        }
        lines.append(encoder.line(Point("drift", tags, {**values, **own}, stamp)))
    return lines


def metric_lines(hosts: int, turn: int) -> list[str]:
    """19 fields a line, four series a host, shuffled."""
    encoder = Encoder()
    points = [
        Point("cpu", {"host": f"web-{host}", "cpu": f"cpu{cpu}", "image": "web@1", "group": "web"},
              {f"usage_{name:02}": host * 0.37 + name for name in range(19)}, NOW + turn * 10 * SECOND)
        for host in range(hosts) for cpu in range(4)
    ]  # fmt: skip
    random.Random(turn).shuffle(points)
    return [encoder.line(point) for point in points]


def ingest(path: str, batches: list[str]) -> float:
    """Seconds for taking the batches in, from text to stored."""
    writer = SqliteWriter(path)
    started = time.perf_counter()
    for text in batches:
        lines = [line for line in read_lines(text, NOW) if isinstance(line, Line)]
        assert not writer.write(lines)
    seconds = time.perf_counter() - started
    writer.close()
    return seconds


def newest(path: str) -> tuple[int, float]:
    """How many reports, and in how many seconds."""
    started = time.perf_counter()
    store = SqliteStore(path)
    reports = list(store.newest(NOW, NOW + 3600 * SECOND))
    return len(reports), time.perf_counter() - started


def batches_of(lines: list[str]) -> list[str]:
    """Bodies as they come in."""
    return ["\n".join(lines[start : start + BATCH]) for start in range(0, len(lines), BATCH)]


def peak_mib() -> float:
    """This process's peak of resident memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def apart(step: Callable[..., str], *arguments: object) -> None:
    """Runs a step in a fresh process and prints what it says."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(step, arguments), flush=True)


def bench_metrics(path: str, hosts: int) -> str:
    lines = [line for turn in range(5) for line in metric_lines(hosts, turn)]
    size = sum(map(len, lines)) // len(lines)
    seconds = ingest(path, batches_of(lines))
    return f"metrics: {len(lines):,} lines of {size} bytes, {len(lines) / seconds:,.0f} lines/s"


def bench_drift(path: str, instances: int, turn: int) -> str:
    lines = drift_lines(instances, turn)
    size = sum(map(len, lines)) // len(lines)
    seconds = ingest(path, batches_of(lines))
    return f"drift, report {turn}: {len(lines):,} lines of {size} bytes, {len(lines) / seconds:,.0f} lines/s"


def bench_newest(path: str) -> str:
    before = peak_mib()
    count, seconds = newest(path)
    return f"newest of {count:,}: {seconds:.2f} s, {peak_mib() - before:.0f} MiB above an idle {before:.0f}"


def main() -> int:
    """Prints a line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--reports", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        apart(bench_metrics, f"{folder}/metrics.db", options.instances // 20)
        for turn in range(1, options.reports + 1):
            apart(bench_drift, f"{folder}/drift.db", options.instances, turn)
        apart(bench_newest, f"{folder}/drift.db")
        print(f"store: {Path(folder, 'drift.db').stat().st_size >> 20} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
