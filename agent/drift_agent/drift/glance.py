"""One complete look that leaves no trace: what a detector on this machine would say now, within a time."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import replace
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import ParamSpec, TypeVar

from drift_agent.clock import Clock
from drift_agent.config import Config
from drift_agent.drift.announcer import Announcer
from drift_agent.drift.check_result import CheckResult
from drift_agent.drift.comparison import CACHE, Comparison, ImageComparison
from drift_agent.drift.detector import Detector
from drift_agent.drift.first_boot import booted_at
from drift_agent.drift.knowledge import Knowledge
from drift_agent.drift.scanner import ScanStopped
from drift_agent.drift.state import StateStore
from drift_agent.errors import DriftlineError
from drift_agent.identity import Identity
from drift_agent.image.inspect import Pace
from drift_agent.image.manifest import Manifest
from drift_agent.model import Point

P = ParamSpec("P")
T = TypeVar("T")


def glance(
    config: Config, identity: Identity, clock: Clock, seconds: float, log: Callable[[str], None]
) -> list[Point] | None:
    """The points that a detector's next complete look would bring; None where it takes longer than `seconds`.

    It goes on from copies of what the agent remembers: no file of the state folder is written, whether an agent runs
    there or not. Contents that nothing was done to since the agent's last scan are taken as known. `log` is told of
    trouble. The limits of a scan's pace do not apply.

    Raises:
        InputError: `state.db` is of a later version.
    """
    config = replace(config, image=replace(config.image, files_per_second=0, bytes_per_second=0))
    points: list[Point] = []
    state = os.path.join(config.agent.state_dir, "state.db")
    over = Event()
    with TemporaryDirectory(prefix="driftline-", ignore_cleanup_errors=True) as folder:
        cache = _copied(os.path.join(config.agent.state_dir, CACHE), os.path.join(folder, CACHE))

        def open_comparison() -> Comparison:
            return _Glance(config.image.root, Manifest.open(config.image.manifest), cache, over)

        store = StateStore.copy(state, identity.machine, identity.cloud_id, log)
        knowledge = Knowledge(store, log, booted_at(clock.time_ns()))
        announcer = Announcer(config, identity, knowledge, clock, points.extend)
        detector = Detector(config.image, open_comparison, knowledge, announcer, clock, log, executor=_SameThread())

        def look() -> None:
            with suppress(ScanStopped):
                detector.once()
            detector.close()

        thread = Thread(target=look, name="glance", daemon=True)
        thread.start()
        thread.join(seconds)
        over.set()
        return None if thread.is_alive() else points


class _SameThread(Executor):
    """Does at once what is submitted: in a thread that is the glance's own, and holds up no end of the process."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except (DriftlineError, ScanStopped) as error:
            future.set_exception(error)
        return future


class _Glance(ImageComparison):
    """Never reads again what is known, and gives up once it is `over`."""

    def __init__(self, root: str, manifest: Manifest, cache: str | None, over: Event) -> None:
        super().__init__(root, manifest, cache)
        self._over = over

    def tree(self, progress: Callable[[int], None], pace: Pace, *, rehash: bool) -> CheckResult:  # noqa: ARG002 (never here)
        return super().tree(self._unless_over(progress), self._unless_over(pace), rehash=False)

    def _unless_over(self, tell: Callable[[int], None]) -> Callable[[int], None]:
        def told(count: int) -> None:
            if self._over.is_set():
                raise ScanStopped
            tell(count)

        return told


def _copied(source: str, target: str) -> str | None:
    """`target`, once it is a copy of `source`; None where that is not there, or cannot be copied."""
    try:
        return shutil.copyfile(source, target)
    except OSError:
        return None
