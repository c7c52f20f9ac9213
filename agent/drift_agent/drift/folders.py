"""Which folders one inotify queue watches: all below the watched roots, and those that lead to them.

A root that is made later, or made again, is seen because the folders that lead to it are watched as well.
"""

import errno
import os
from collections.abc import Callable, Sequence
from ctypes import get_errno
from typing import Final

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import inotify_add_watch, inotify_rm_watch

from drift_agent.image.paths import folders_above

MASK: Final = (
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


class Folder:
    """A watched folder. `deep`: everything below is watched too; else it only leads to folders that are.

    There may be tens of thousands: it knows its name, not its path, and most have no folders in them.
    """

    __slots__ = ("children", "deep", "name", "parent", "wd")

    def __init__(self, name: str, parent: "Folder | None", *, deep: bool) -> None:
        self.name = name
        self.parent = parent
        self.deep = deep
        self.wd = -1
        self.children: dict[str, Folder] | None = None

    @property
    def path(self) -> str:
        """The path below the root, beginning with `/`."""
        names = []
        folder = self
        while folder.parent is not None:
            names.append(folder.name)
            folder = folder.parent
        return "/" + "/".join(reversed(names))

    def path_of(self, name: str) -> str:
        """The path of an entry."""
        return f"{self.path}/{name}" if self.parent is not None else f"/{name}"

    def take_out(self, name: str) -> "Folder | None":
        """The folder of that name in it, which is so no more."""
        return self.children.pop(name, None) if self.children else None


class Folders:
    """The watches of one queue. `ignored` says of a folder that nothing at or below it is compared."""

    def __init__(self, root: str, watched: Sequence[str], ignored: Callable[[str], bool]) -> None:
        """`root` is an absolute path without links; empty for `/`."""
        self._root = root
        self._watched = frozenset(watched)
        self._leading = frozenset(top for path in watched for top in folders_above(path))
        self._ignored = ignored
        self._by_wd: dict[int, Folder] = {}
        self._queue = -1
        self.top = Folder("", None, deep="/" in self._watched)
        self.failure = ""
        """Why a folder that should be watched is not, since `arm_all`; empty while all are."""

    def by_watch(self, wd: int) -> Folder | None:
        """The folder of a watch; None for one that was let go."""
        return self._by_wd.get(wd)

    def arm_all(self, queue: int) -> list[str]:
        """Watches every folder that should be; those that were not, where others were already."""
        self._queue = queue
        self.failure = ""
        fresh = self._arm(self.top, tell=bool(self._by_wd))
        if self.top.wd == -1 and not self.failure:
            self.failure = f"{self._root or '/'} is not there"
        return fresh

    def changed(self, parent: Folder, name: str) -> None:
        """A folder of that name came or went: what stands there now is watched, with what it holds.

        Whichever of both was said: of two folders that are exchanged (renameat2(2)) the kernel says that the one came,
        and then that the other, which stood there before, went.
        """
        self._let_go(parent.take_out(name))
        child = self._child(parent, name, parent.path_of(name))
        if child is not None:
            self._arm(child, tell=False)
            if child.wd == -1:
                parent.take_out(name)

    def forget(self, folder: Folder) -> None:
        """The kernel ended this watch of itself."""
        self._by_wd.pop(folder.wd, None)
        folder.wd = -1

    def _arm(self, top: Folder, *, tell: bool) -> list[str]:
        fresh = []
        waiting = [(top, top.path)]
        while waiting:
            folder, path = waiting.pop()
            before = folder.wd
            if not self._watch(folder, path):
                self._let_go(folder)
                continue
            if tell and folder.wd != before:
                fresh.append(path)
            waiting.extend(self._children(folder, path))
        return fresh

    def _watch(self, folder: Folder, path: str) -> bool:
        wd = inotify_add_watch(self._queue, os.fsencode(self._root + path), MASK)
        if wd == -1:
            code = get_errno()
            if code == errno.ENOSPC:
                self.failure = f"only {len(self._by_wd)} folders can be watched: raise fs.inotify.max_user_watches"
            elif code not in _GONE | _FORBIDDEN:
                self.failure = f"a folder cannot be watched: {os.strerror(code)}"
            return False
        if folder.wd not in (-1, wd):
            self._by_wd.pop(folder.wd, None)
        folder.wd = wd
        self._by_wd[wd] = folder
        return True

    def _children(self, folder: Folder, path: str) -> list[tuple[Folder, str]]:
        """The folders in `folder` that are to be watched, with their paths; those that are no more are let go."""
        names = set()
        try:
            with os.scandir(self._root + path) as entries:
                names = {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
        except OSError:
            pass
        for name in (folder.children or {}).keys() - names:
            self._let_go(folder.take_out(name))
        found = []
        for name in names:
            child_path = f"{path.rstrip('/')}/{name}"
            child = self._child(folder, name, child_path)
            if child is not None:
                found.append((child, child_path))
        return found

    def _child(self, folder: Folder, name: str, path: str) -> Folder | None:
        known = folder.children.get(name) if folder.children else None
        if known is not None:
            return known
        deep = folder.deep or path in self._watched
        if not (deep or path in self._leading) or self._ignored(path):
            return None
        child = Folder(name, folder, deep=deep)
        if folder.children is None:
            folder.children = {}
        folder.children[name] = child
        return child

    def _let_go(self, top: Folder | None) -> None:
        """Ends the watches of a folder that is gone, or elsewhere now, and of all below it."""
        waiting = [top] if top is not None else []
        while waiting:
            folder = waiting.pop()
            waiting.extend((folder.children or {}).values())
            folder.children = None
            if folder.wd != -1 and self._by_wd.get(folder.wd) is folder:
                del self._by_wd[folder.wd]
                inotify_rm_watch(self._queue, folder.wd)
            folder.wd = -1
