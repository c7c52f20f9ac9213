"""Hints of changes between scans, by watchdog. A hint may be lost, late or wrong: the rescan is the truth."""

import os
from collections.abc import Sequence
from typing import Final, Protocol

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from drift_agent.drift.dirty import DirtySet

WATCHED: Final = ("/etc", "/usr", "/boot", "/opt", "/root", "/srv", "/var/spool/cron")
"""Roots without ignored trees beneath; a busy log folder would cost CPU for each line."""

_EVENTS: Final[list[type[FileSystemEvent]]] = [
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
]


class Watcher(Protocol):
    """Marks paths of a `DirtySet` while it runs."""

    def start(self) -> None:
        """Begins to watch; what cannot be watched is in `problem`. Never raises."""

    def stop(self) -> None:
        """Ends every thread of its own before it returns."""

    @property
    def problem(self) -> str:
        """Why changes may be found by the rescan alone; empty while all is well."""


class NoWatcher:
    """Where watching is turned off."""

    problem = ""

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self) -> None:
        """Nothing to end."""


class _Marker(FileSystemEventHandler):
    def __init__(self, root: str, dirty: DirtySet) -> None:
        self._root = root
        self._dirty = dirty

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                self._dirty.mark("/" + os.path.relpath(os.fsdecode(path), self._root))


class ObserverWatcher:
    """watchdog's own observer: one thread and one queue for all roots, and two threads a root."""

    def __init__(self, root: str, dirty: DirtySet, watched: Sequence[str] = WATCHED) -> None:
        self._root = os.path.realpath(root)
        self._dirty = dirty
        self._watched = watched
        self._observer = Observer()
        self._started = False
        self.problem = ""

    def start(self) -> None:
        """Begins to watch the roots that exist."""
        marker = _Marker(self._root, self._dirty)
        for path in self._watched:
            full = os.path.join(self._root, path.lstrip("/"))
            if os.path.isdir(full) and not os.path.islink(full):
                self._observer.schedule(marker, full, recursive=True, event_filter=_EVENTS)
        try:
            self._observer.start()
            self._started = True
        except OSError as error:
            self.problem = f"watching is not possible: {error.strerror or error}"
            self._observer.unschedule_all()

    def stop(self) -> None:
        """Ends the observer and its emitters."""
        if self._started:
            self._observer.stop()
            self._observer.join()
            self._started = False
