"""A watcher and what it marked, as the detector uses them; begun once there is a manifest that says what to watch."""

from collections.abc import Callable

from drift_agent.clock import Clock
from drift_agent.drift.dirty import Dirty, DirtySet
from drift_agent.drift.watch import MakeWatcher, NoWatcher, Watcher


class Hints:
    """Used by the detector's thread alone."""

    def __init__(self, make_watcher: MakeWatcher, clock: Clock, wake: Callable[[], None]) -> None:
        self._make_watcher = make_watcher
        self._dirty = DirtySet(wake, clock.monotonic)
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
        """Looks whether the watcher's problem is another than before."""
        before, self._noticed = self._noticed, self._watcher.problem
        return self._noticed != before

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
