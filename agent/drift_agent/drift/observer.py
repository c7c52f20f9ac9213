"""Hints of changes where there is no inotify (macOS): watchdog's own observer.

It says nothing of hints that it loses; there the rescan alone makes up for them.
"""

import os
from collections.abc import Sequence
from typing import Final

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


class _Marker(FileSystemEventHandler):
    def __init__(self, root: str, dirty: DirtySet) -> None:
        self._root = root
        self._dirty = dirty

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                self._dirty.mark("/" + os.path.relpath(os.fsdecode(path), self._root))


class ObserverWatcher:
    """A `watch.Watcher`."""

    def __init__(self, root: str, dirty: DirtySet, watched: Sequence[str]) -> None:
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

    def scanned(self, began: float) -> None:
        """Nothing that it knows of was lost."""

    def stop(self) -> None:
        """Ends the observer and its emitters."""
        if self._started:
            self._observer.stop()
            self._observer.join()
            self._started = False
