"""Hints of changes on Linux: one inotify queue and one thread for all roots.

The bindings are watchdog's; its emitters are not used, because they swallow what matters here: an overflow of the
queue, watches that could not be had for new folders, a root that is made again. They also hold every hint behind a
file that was moved out of the tree for half a second. Whatever is lost here is said in `problem`, and asks for a
rescan.

Source of the rules: inotify(7).
"""

import errno
import os
import select
import struct
import time
from collections.abc import Callable, Sequence
from ctypes import get_errno
from threading import Event, Thread
from typing import Final

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import inotify_add_watch, inotify_init, inotify_rm_watch

from drift_agent.drift.dirty import DirtySet

READ_BYTES: Final = 256 << 10
REARM_SECONDS: Final = 1.0
"""How long after a loss the folders are armed again, at least; else ten times as long as that takes."""

_HEADER: Final = struct.Struct("iIII")
_MASK: Final = (
    In.IN_MODIFY
    | In.IN_ATTRIB
    | In.IN_CLOSE_WRITE
    | In.IN_MOVED_FROM
    | In.IN_MOVED_TO
    | In.IN_CREATE
    | In.IN_DELETE
    | In.IN_DELETE_SELF
    | In.IN_MOVE_SELF
    | In.IN_ONLYDIR
    | In.IN_DONT_FOLLOW
    | In.IN_EXCL_UNLINK
)
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
"""The scan cannot read such a folder either, and says so."""


class _Folder:
    """A watched folder. `deep`: everything below is watched too; else it only leads to folders that are."""

    __slots__ = ("children", "deep", "path", "wd")

    def __init__(self, path: str, *, deep: bool) -> None:
        self.path = path
        self.deep = deep
        self.wd = -1
        self.children: dict[str, _Folder] = {}


class InotifyWatcher:
    """A `watch.Watcher`. `ignored` says of a folder that nothing below it is compared."""

    def __init__(
        self, root: str, dirty: DirtySet, watched: Sequence[str], ignored: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._root = os.path.realpath(root).rstrip("/")
        self._dirty = dirty
        self._watched = frozenset(watched)
        self._leading = frozenset(top for path in watched for top in _ancestors(path))
        self._ignored = ignored
        self._top = _Folder("/", deep="/" in self._watched)
        self._by_wd: dict[int, _Folder] = {}
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
        return self._failure or ("hints were lost" if self._lost_at else "")

    @property
    def watches(self) -> int:
        """How many folders are watched."""
        return len(self._by_wd)

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
        if self._failure:
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
            folder = self._by_wd.get(wd)
            if folder is None:  # what was said of a folder before it was let go
                continue
            if name:
                path = f"{folder.path.rstrip('/')}/{os.fsdecode(name)}"
                is_tree = mask & In.IN_ISDIR and self._on_folder(folder, mask, os.fsdecode(name))
                (trees if is_tree else marks).add(path)
            else:
                self._on_self(folder, mask)
                marks.add(folder.path)
        self._dirty.mark_all(marks, trees)

    def _on_folder(self, parent: _Folder, mask: int, name: str) -> bool:
        """A folder came or went; whether everything below it may be new."""
        if mask & (In.IN_MOVED_FROM | In.IN_DELETE):
            self._let_go(parent.children.pop(name, None))
        elif mask & (In.IN_CREATE | In.IN_MOVED_TO):
            self._let_go(parent.children.pop(name, None))
            child = self._child(parent, name)
            if child is not None:
                self._arm(child)
            return True
        return False

    def _on_self(self, folder: _Folder, mask: int) -> None:
        if mask & In.IN_IGNORED:
            self._by_wd.pop(folder.wd, None)
            folder.wd = -1
        if folder is self._top and mask & (In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_UNMOUNT | In.IN_IGNORED):
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

    # ------------------------------------------------------------------------------------------- the watches

    def _rearm(self) -> None:
        """Watches every folder that should be, and marks those that were not until now."""
        began = time.monotonic()
        self._rearm_at = None
        self._failure = ""
        fresh = self._arm(self._top)
        if self._top.wd == -1 and not self._failure:
            self._failure = f"{self._root or '/'} is not there"
        self._pause = max(REARM_SECONDS, 10 * (time.monotonic() - began))
        if self._thread.is_alive():
            self._dirty.mark_all((), fresh)

    def _arm(self, top: _Folder) -> list[str]:
        """Watches `top` and what belongs to it; the folders that were not watched before."""
        fresh = []
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            before = folder.wd
            if not self._watch(folder):
                self._let_go(folder)
                continue
            if folder.wd != before:
                fresh.append(folder.path)
            waiting.extend(self._children(folder))
        return fresh

    def _watch(self, folder: _Folder) -> bool:
        wd = inotify_add_watch(self._queue, os.fsencode(self._root + folder.path), _MASK)
        if wd == -1:
            code = get_errno()
            if code == errno.ENOSPC:
                self._failure = f"only {len(self._by_wd)} folders can be watched: raise fs.inotify.max_user_watches"
            elif code not in _GONE | _FORBIDDEN:
                self._failure = f"a folder cannot be watched: {os.strerror(code)}"
            return False
        if folder.wd not in (-1, wd):
            self._by_wd.pop(folder.wd, None)
        folder.wd = wd
        self._by_wd[wd] = folder
        return True

    def _children(self, folder: _Folder) -> list[_Folder]:
        """The folders in `folder` that are to be watched; those that are no more are let go."""
        names = set()
        try:
            with os.scandir(self._root + folder.path) as entries:
                names = {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
        except OSError:
            pass
        for name in folder.children.keys() - names:
            self._let_go(folder.children.pop(name))
        return [child for name in names if (child := self._child(folder, name)) is not None]

    def _child(self, folder: _Folder, name: str) -> _Folder | None:
        known = folder.children.get(name)
        if known is not None:
            return known
        path = f"{folder.path.rstrip('/')}/{name}"
        deep = folder.deep or path in self._watched
        if not (deep or path in self._leading) or self._ignored(path):
            return None
        child = folder.children[name] = _Folder(path, deep=deep)
        return child

    def _let_go(self, top: _Folder | None) -> None:
        """Ends the watches of a folder that is gone, or elsewhere now, and of all below it."""
        waiting = [top] if top is not None else []
        while waiting:
            folder = waiting.pop()
            waiting.extend(folder.children.values())
            folder.children = {}
            if folder.wd != -1 and self._by_wd.get(folder.wd) is folder:
                del self._by_wd[folder.wd]
                inotify_rm_watch(self._queue, folder.wd)
            folder.wd = -1


def _ancestors(path: str) -> list[str]:
    """Every folder above `path`, without `/`: they are watched for a root that is made, or made again."""
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:count]) for count in range(1, len(parts))]
