"""Hints of changes on Linux: one inotify queue and one thread for all roots.

The bindings are watchdog's; its emitters are not used, because they swallow what matters here: an overflow of the
queue, watches that could not be had for new folders, a root that is made again. They also hold every hint behind a
file that was moved out of the tree for half a second. Whatever is lost here is said in `problem`, and asks for a
rescan.

Source of the rules: inotify(7).
"""

import os
import select
import struct
import time
from collections.abc import Callable, Sequence
from ctypes import get_errno
from threading import Event, Thread
from typing import Final

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import inotify_init

from drift_agent.drift.dirty import DirtySet
from drift_agent.drift.folders import Folder, Folders

READ_BYTES: Final = 256 << 10
GATHER_SECONDS: Final = 0.005
"""How long what is still to come may gather after a read: one by one, events cost ten times as much."""
REARM_SECONDS: Final = 1.0
"""How long after a loss the folders are armed again, at least; else ten times as long as that takes."""

_HEADER: Final = struct.Struct("iIII")


class InotifyWatcher:
    """A `watch.Watcher`. `ignored` says of a folder that nothing below it is compared."""

    def __init__(
        self, root: str, dirty: DirtySet, watched: Sequence[str], ignored: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._root = os.path.realpath(root).rstrip("/")
        self._dirty = dirty
        self._folders = Folders(self._root, watched, ignored)
        self._queue = -1
        self._wake_reader, self._wake_writer = -1, -1
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="inotify", daemon=True)
        self._failure = ""
        self._lost_at = 0.0
        self._rearm_at: float | None = None
        self._pause = REARM_SECONDS

    @property
    def problem(self) -> str:
        """Why changes may be found by the rescan alone; empty while every hint is to be had."""
        return self._failure or self._folders.failure or ("hints were lost" if self._lost_at else "")

    def start(self) -> None:
        """Arms every folder before it returns: what changes from here on is hinted at."""
        queue = inotify_init()
        if queue == -1:
            self._failure = (
                f"no inotify queue to be had ({os.strerror(get_errno())}); see fs.inotify.max_user_instances"
            )
            return
        os.set_inheritable(queue, False)
        self._queue = queue
        self._wake_reader, self._wake_writer = os.pipe()
        self._rearm()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and gives every watch back."""
        if self._queue == -1:
            return
        self._stopping.set()
        os.write(self._wake_writer, b"!")
        self._thread.join()
        for descriptor in (self._queue, self._wake_reader, self._wake_writer):
            os.close(descriptor)
        self._queue = -1

    def scanned(self, began: float) -> None:
        """A complete scan that began at `began` (monotonic s) is done: what was lost before it is made up for."""
        if self._queue == -1:
            return
        if self._lost_at and self._lost_at < began and self._rearm_at is None:
            self._lost_at = 0.0
        if self._failure or self._folders.failure:
            self._rearm_at = 0.0
            os.write(self._wake_writer, b"!")

    # ------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            self._read_until_stopped()
        finally:
            if not self._stopping.is_set():  # a fault of ours, or of the kernel's: it must show
                self._failure = "the thread that watches has failed"
                self._dirty.mark_everything()

    def _read_until_stopped(self) -> None:
        poll = select.poll()
        poll.register(self._queue, select.POLLIN)
        poll.register(self._wake_reader, select.POLLIN)
        while not self._stopping.is_set():
            ready = {descriptor for descriptor, _ in poll.poll(self._patience())}
            if self._wake_reader in ready:
                os.read(self._wake_reader, 4096)
            if self._queue in ready:
                self._take(os.read(self._queue, READ_BYTES))
                self._stopping.wait(GATHER_SECONDS)
            if self._rearm_at is not None and time.monotonic() >= self._rearm_at:
                self._rearm()

    def _patience(self) -> float | None:
        """ms until folders must be armed again."""
        if self._rearm_at is None:
            return None
        return max(0.0, self._rearm_at - time.monotonic()) * 1000 + 1

    def _take(self, buffer: bytes) -> None:
        """Turns what the kernel says into marks, all of them under one lock."""
        marks: set[str] = set()
        trees: set[str] = set()
        position = 0
        while position + _HEADER.size <= len(buffer):
            wd, mask, _, length = _HEADER.unpack_from(buffer, position)
            position += _HEADER.size
            name = buffer[position : position + length].rstrip(b"\0")
            position += length
            if mask & In.IN_Q_OVERFLOW:
                self._lose()
                continue
            folder = self._folders.by_watch(wd)
            if folder is None:  # what was said of a folder before it was let go
                continue
            if name:
                is_tree = mask & In.IN_ISDIR and self._on_folder(folder, mask, os.fsdecode(name))
                (trees if is_tree else marks).add(folder.path_of(os.fsdecode(name)))
            else:
                self._on_self(folder, mask)
                marks.add(folder.path)
        self._dirty.mark_all(marks, trees)

    def _on_folder(self, parent: Folder, mask: int, name: str) -> bool:
        """Whether a folder came or went: everything below it may be other than it was."""
        if not mask & (In.IN_MOVED_FROM | In.IN_DELETE | In.IN_CREATE | In.IN_MOVED_TO):
            return False
        self._folders.changed(parent, name)
        return True

    def _on_self(self, folder: Folder, mask: int) -> None:
        if mask & In.IN_IGNORED:
            self._folders.forget(folder)
        top_gone = In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_UNMOUNT | In.IN_IGNORED
        if folder is self._folders.top and mask & top_gone:
            self._failure = f"{self._root or '/'} was taken away"
            self._lose()
        elif mask & In.IN_UNMOUNT:
            self._lose()

    def _lose(self) -> None:
        """Hints are missing: everything must be looked at, and folders may stand there that nobody watches."""
        self._lost_at = time.monotonic()
        if self._rearm_at is None:
            self._rearm_at = self._lost_at + self._pause
        self._dirty.mark_everything()

    def _rearm(self) -> None:
        """Watches every folder that should be, and marks those that were not until now."""
        began = time.monotonic()
        self._rearm_at = None
        self._failure = ""
        fresh = self._folders.arm_all(self._queue)
        self._pause = max(REARM_SECONDS, 10 * (time.monotonic() - began))
        self._dirty.mark_all((), fresh)
