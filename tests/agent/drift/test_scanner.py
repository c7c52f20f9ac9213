"""Complete scans: idle, paced, and given up when the agent ends."""

import os
import sys
import threading
from collections.abc import Callable

import pytest

from drift_agent.clock import SystemClock
from drift_agent.drift.scanner import Scanner, ScanStopped, idle_thread
from drift_agent.errors import ManifestError
from fakes import FakeClock
from looks import FakeComparison, InlineExecutor


@pytest.mark.skipif(sys.platform != "linux", reason="the class is Linux's")
def test_the_scan_is_idle_to_the_scheduler_and_nothing_else_is() -> None:
    executor = idle_thread()
    policy = executor.submit(lambda: os.sched_getscheduler(threading.get_native_id())).result(10.0)
    executor.shutdown()
    assert policy == os.SCHED_IDLE
    assert os.sched_getscheduler(threading.get_native_id()) != os.SCHED_IDLE


def counting(clock: FakeClock, took: float) -> Callable[[], FakeComparison]:
    """A tree of 10,000 files that is looked at in `took` seconds."""

    class Tree(FakeComparison):
        def tree(self, progress: Callable[[int], None], *, rehash: bool):  # type: ignore[no-untyped-def] # noqa: ANN202
            for count in range(0, 10_001, 250):
                clock.advance(took / 40)
                progress(count)
            return super().tree(lambda _: None, rehash=rehash)

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
    assert woken.wait(10.0)
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
        def tree(self, progress: Callable[[int], None], *, rehash: bool):  # type: ignore[no-untyped-def] # noqa: ANN202
            scanning.set()
            while True:
                progress(1)

        def close(self) -> None:
            closed.set()

    scanner = Scanner(Tree, idle_thread(), SystemClock(), lambda: None)
    scanner.begin()
    assert scanning.wait(10.0)
    scanner.stop()
    assert closed.is_set()
    with pytest.raises(ScanStopped):
        scanner.take()
