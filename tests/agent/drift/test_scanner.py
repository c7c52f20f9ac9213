"""Complete scans: idle, paced, and given up when the agent ends."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drift_agent.clock import SystemClock
from drift_agent.drift.comparison import ImageComparison
from drift_agent.drift.scanner import Scanner, ScanStopped, idle_thread
from drift_agent.errors import ManifestError
from drift_agent.image.manifest import Manifest
from fakes import FakeClock
from looks import FakeComparison, InlineExecutor
from trees import bake_tree, make_tree
from waiting import PATIENCE


@pytest.mark.skipif(sys.platform != "linux", reason="the class is Linux's")
def test_the_scan_is_idle_to_the_scheduler_and_nothing_else_is() -> None:
    executor = idle_thread()
    policy = executor.submit(lambda: os.sched_getscheduler(threading.get_native_id())).result(PATIENCE)
    executor.shutdown()
    assert policy == os.SCHED_IDLE
    assert os.sched_getscheduler(threading.get_native_id()) != os.SCHED_IDLE


def counting(clock: FakeClock, took: float) -> Callable[[], FakeComparison]:
    """A tree of 10,000 files that is looked at in `took` seconds."""

    class Tree(FakeComparison):
        def tree(self, progress: Callable[[int], None], pace: Callable[[int], None], *, rehash: bool):  # type: ignore[no-untyped-def] # noqa: ANN202
            for count in range(0, 10_001, 250):
                clock.advance(took / 40)
                progress(count)
            return super().tree(lambda _: None, pace, rehash=rehash)

    return Tree


def test_the_pace_is_bounded() -> None:
    clock = FakeClock()
    scanner = Scanner(counting(clock, 1.0), InlineExecutor(), clock, lambda: None, files_per_second=1000)
    before = clock.monotonic()
    scanner.begin()
    assert clock.monotonic() - before == pytest.approx(10.0, abs=0.1)


def test_unbounded_it_does_not_wait() -> None:
    clock = FakeClock()
    scanner = Scanner(counting(clock, 1.0), InlineExecutor(), clock, lambda: None)
    before = clock.monotonic()
    scanner.begin()
    assert clock.monotonic() - before == pytest.approx(1.0, abs=0.1)


def test_what_it_finds_is_taken_once_and_wakes() -> None:
    woken = threading.Event()
    scanner = Scanner(FakeComparison, idle_thread(), SystemClock(), woken.set)
    assert scanner.take() is None
    scanner.begin()
    was_busy = scanner.busy
    assert was_busy
    assert woken.wait(PATIENCE)
    scanned = scanner.take()
    assert scanned is not None
    assert scanned.result.observed == "1:sha256:image"
    assert not scanner.busy
    assert scanner.take() is None
    scanner.stop()


def test_a_manifest_that_cannot_be_opened_is_the_takers_to_handle() -> None:
    def refuse() -> FakeComparison:
        raise ManifestError("/m: cannot be read")

    scanner = Scanner(refuse, InlineExecutor(), FakeClock(), lambda: None)
    scanner.begin()
    with pytest.raises(ManifestError):
        scanner.take()
    assert not scanner.busy


def test_a_scan_that_is_stopped_gives_its_manifest_back() -> None:
    closed = threading.Event()
    scanning = threading.Event()

    class Tree(FakeComparison):
        def tree(self, progress: Callable[[int], None], pace: Callable[[int], None], *, rehash: bool):  # type: ignore[no-untyped-def] # noqa: ANN202
            scanning.set()
            while True:
                progress(1)

        def close(self) -> None:
            closed.set()

    scanner = Scanner(Tree, idle_thread(), SystemClock(), lambda: None)
    scanner.begin()
    assert scanning.wait(PATIENCE)
    scanner.stop()
    assert closed.is_set()
    with pytest.raises(ScanStopped):
        scanner.take()


def test_the_pace_of_reading_is_bounded(tmp_path: Path) -> None:
    """Small files are read by the walk, large ones in a thread beside it: together they keep to it."""
    root = make_tree(tmp_path / "root", {str(number): "x" * 100_000 for number in range(5)} | {"s": "x" * 50_000})
    bake_tree(root, tmp_path / "m").close()
    clock = FakeClock()

    def look() -> ImageComparison:
        return ImageComparison(str(root), Manifest.open(str(tmp_path / "m")))

    scanner = Scanner(look, InlineExecutor(), clock, lambda: None, bytes_per_second=55_000)
    before = clock.monotonic()
    scanner.begin()
    assert clock.monotonic() - before == pytest.approx(10.0, abs=0.1)
    scanned = scanner.take()
    assert scanned is not None
    assert [change.kind for change in scanned.result.changes] == ["manifest"]  # which is sealed
    scanned.comparison.close()


@pytest.mark.parametrize("bytes_per_second", [0, 1])
def test_a_scan_that_reads_a_huge_file_can_be_stopped(tmp_path: Path, bytes_per_second: int) -> None:
    root = make_tree(tmp_path / "root", {"a": "x"})
    bake_tree(root, tmp_path / "m").close()
    with (root / "huge").open("w") as file:
        file.truncate(300 << 30)
    opened = threading.Event()

    def look() -> ImageComparison:
        opened.set()
        return ImageComparison(str(root), Manifest.open(str(tmp_path / "m")))

    scanner = Scanner(look, idle_thread(), SystemClock(), lambda: None, bytes_per_second=bytes_per_second)
    scanner.begin()
    assert opened.wait(PATIENCE)
    began = time.monotonic()
    scanner.stop()
    assert time.monotonic() - began < PATIENCE  # a block is read within milliseconds, the file within minutes
    with pytest.raises(ScanStopped):
        scanner.take()
