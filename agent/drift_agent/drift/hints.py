"""A watcher and what it marked, as the detector uses them; begun once there is a manifest that says what to watch."""

from collections.abc import Callable

from drift_agent.clock import Clock
from drift_agent.drift.dirty import Dirty, DirtySet
from drift_agent.drift.watch import MakeWatcher, NoWatcher, Watcher


class Hints:
    """Used by the detector's thread alone."""

    def __init__(
        self,
        make_watcher: MakeWatcher,
        clock: Clock,
        wake: Callable[[], None],
        log: Callable[[str], None],
        inform: Callable[[str], None],
    ) -> None:
        """`wake` is called with each mark. `log` is told that hints may be lost, `inform` that all are to be had."""
        self._make_watcher = make_watcher
        self._dirty = DirtySet(wake, clock.monotonic)
        self._log = log
        self._inform = inform
        self._watcher: Watcher = NoWatcher()
        self._noticed = ""

    @property
    def begun(self) -> bool:
        """Whether anything is watched."""
        return not isinstance(self._watcher, NoWatcher)

    @property
    def problem(self) -> str:
        """Why changes may be found by the rescan alone, as last noticed; empty while all is well."""
        return self._noticed

    def notice(self) -> bool:
        """Whether watching fell back to scanning, or is whole again, since the last time; then it is said."""
        before, self._noticed = self._noticed, self._watcher.problem
        if self._noticed == before:
            return False
        if self._noticed:
            self._log(f"changes are found by the scans alone: {self._noticed}")
        else:
            self._inform("changes are found as they happen")
        return True

    def begin(self, ignored: Callable[[str], bool]) -> None:
        """Begins to watch; what changes from here on is marked."""
        self._watcher = self._make_watcher(self._dirty, ignored)
        self._watcher.start()

    def scanned(self, began: float) -> None:
        """A complete scan that began at `began` (monotonic s) is done."""
        self._watcher.scanned(began)

    def ripe_in(self) -> float | None:
        """As `DirtySet`."""
        return self._dirty.ripe_in()

    def take(self) -> Dirty:
        """As `DirtySet`."""
        return self._dirty.take()

    def stop(self) -> None:
        """Ends the watcher's threads."""
        self._watcher.stop()
