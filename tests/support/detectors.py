"""A detector as tests run it, and what it said, read back as a reader does."""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Final

from drift_agent.clock import Clock
from drift_agent.config import Config
from drift_agent.drift.announcer import Announcer
from drift_agent.drift.comparison import Comparison
from drift_agent.drift.detector import Detector
from drift_agent.drift.knowledge import Knowledge
from drift_agent.drift.reporter import Emit
from drift_agent.drift.state import StateStore
from drift_agent.drift.watch import MakeWatcher
from drift_agent.identity import Identity
from drift_agent.model import Point
from looks import InlineExecutor

IDENTITY: Final = Identity("i-1", "web-1", "web@1", "default", "boot-1", machine="m-1")


def make_detector(
    config: Config,
    open_comparison: Callable[[], Comparison],
    clock: Clock,
    emit: Emit,
    log: Callable[[str], None] = lambda _: None,
    *,
    boot_id: str = IDENTITY.boot_id,
    make_watcher: MakeWatcher | None = None,
    executor: Executor | None = None,
    inform: Callable[[str], None] = lambda _: None,
) -> Detector:
    """A detector of `IDENTITY` that remembers in the `state_dir`, and scans at once where there is no `executor`."""
    store = StateStore.open(f"{config.agent.state_dir}/state.db", IDENTITY.machine, "", log)
    knowledge = Knowledge(store, log, clock.time_ns(), inform)
    return Detector(
        config.image,
        open_comparison,
        knowledge,
        Announcer(config, replace(IDENTITY, boot_id=boot_id), knowledge, clock, emit),
        clock,
        log,
        inform=inform,
        make_watcher=make_watcher,
        executor=executor or InlineExecutor(),
    )


def said(points: Iterable[Point]) -> list[Point]:
    """The `drift` points, in the order in which they left."""
    return [point for point in points if point.measurement == "drift"]


def newest_set(points: Iterable[Point]) -> list[Point]:
    """The items that the last `drift` point speaks of, found by its stamp."""
    points = list(points)
    reports = [point.fields["report"] for point in said(points)][-1:]
    return [point for point in points if point.measurement == "drift_item" and point.fields["report"] in reports]
