"""What is watched between scans, and by what. A hint may be lost, late or wrong: the rescan is the truth."""

import sys
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from drift_agent.drift.dirty import DirtySet

WATCHED: Final = ("/etc", "/usr", "/boot", "/opt", "/root", "/srv", "/var/lib/dpkg", "/var/spool/cron")
"""Roots without ignored trees beneath; a busy log folder would cost CPU for each line."""


class Watcher(Protocol):
    """Marks paths of a `DirtySet` while it runs."""

    @property
    def problem(self) -> str:
        """Why changes may be found by the rescan alone; empty while all is well."""

    def start(self) -> None:
        """Begins to watch before it returns; what cannot be watched is in `problem`. Never raises."""

    def scanned(self, began: float) -> None:
        """A complete scan that began at `began` (monotonic s) is done: a time to try again what failed."""

    def stop(self) -> None:
        """Ends every thread of its own before it returns."""


class NoWatcher:
    """Where watching is turned off, or not begun."""

    problem = ""

    def start(self) -> None:
        """Nothing to begin."""

    def scanned(self, began: float) -> None:
        """Nothing to try."""

    def stop(self) -> None:
        """Nothing to end."""


MakeWatcher = Callable[[DirtySet, Callable[[str], bool]], Watcher]
"""From the set to mark, and what tells of a folder that nothing below it is compared."""


def watcher_of(root: str, watched: Sequence[str] = WATCHED, platform: str = sys.platform) -> MakeWatcher:
    """The watcher of this system for the roots `watched` under `root`."""

    def make(dirty: DirtySet, ignored: Callable[[str], bool]) -> Watcher:
        if platform == "linux":
            from drift_agent.drift.inotify import InotifyWatcher  # its bindings need a libc that has it

            return InotifyWatcher(root, dirty, watched, ignored)
        from drift_agent.drift.observer import ObserverWatcher

        return ObserverWatcher(root, dirty, watched)

    return make
