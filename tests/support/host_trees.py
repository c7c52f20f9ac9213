"""Captured `/proc` and `/sys` trees (tests/data/proc) as the machine that the metrics read."""

import os
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from drift_agent.metrics import METRICS, hostfs
from drift_agent.metrics.metric import Context, Gatherer
from drift_agent.model import Point

DATA = Path(__file__).parent.parent / "data"
TREES = DATA / "proc"


def read_from(monkeypatch: pytest.MonkeyPatch, tree: Path) -> None:
    """From here on the metrics read `tree/proc` and `tree/sys`."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tree / "proc"))
    monkeypatch.setattr(hostfs, "SYSFS_PATH", str(tree / "sys"))


def fix_what_is_not_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of system calls, the same on every machine that runs the tests."""
    status = os.statvfs_result((4096, 4096, 1000, 400, 300, 640, 480, 480, 0, 255))
    empty = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: empty if path.startswith(("/sys", "/proc")) else status)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 4 if logical else 2)
    monkeypatch.setattr(psutil, "users", tuple)
    monkeypatch.setattr("drift_agent.metrics.system.UTMP", ("/",))


def make(name: str, **keys: object) -> Gatherer:
    """The gatherer of one metric, with these of its own keys."""
    metric = next(metric for metric in METRICS if metric.name == name)
    return metric.make(metric.options(**keys), Context())  # type: ignore[arg-type]


def gather(gatherer: Gatherer, time: int = 0, monotonic: float = 0.0) -> list[Point]:
    return list(gatherer(time, monotonic))


def by_tag(points: list[Point], tag: str) -> Mapping[str, Point]:
    return {point.tags[tag]: point for point in points}
