"""A tree → its entries, in the order of a manifest, streamed.

Folders are opened by descriptor, one component at a time, without following links: a tree that changes underneath can
neither mislead the scan nor lead it outside. What vanishes while it is looked at is looked at again, and is then
absent; what cannot be read is an entry with an error, never a silence.
"""

import os
import stat
from collections import deque
from collections.abc import Callable, Container, Iterator
from typing import Final, Self, TypeAlias

from drift_agent.image import inspect
from drift_agent.image.entry import Entry, OpenFolder, Seen
from drift_agent.image.hashing import Hasher
from drift_agent.image.inspect import reason
from drift_agent.image.look import SWAPPED, Looker
from drift_agent.image.policy import Policy
from drift_agent.image.reading import Reader
from drift_agent.image.recall import Recall, Run
from drift_agent.image.statcache import StatCache

MAX_OPEN_FOLDERS: Final = 100
"""Ancestors beyond it are closed and opened again through `..`: a tree may be deeper than a process may have files."""

MAX_AHEAD: Final = 2048
"""Entries that the walk may be ahead of one whose content is still being hashed."""

MAX_RUN_BYTES: Final = 64 << 10

Progress: TypeAlias = Callable[[int], None]
"""Told, each `PROGRESS_STEP` items or so, how many were looked at so far."""

PROGRESS_STEP: Final = 256


class _Folder(OpenFolder):
    """A folder on the way, how to know it again, and what is still to come of it (names of folders to enter)."""

    __slots__ = ("identity", "steps")
    identity: tuple[int, int]
    steps: Iterator[Entry | Run | str]


class Scan:
    """Walks over a tree under one policy.

    `root` is the folder that stands for `/`. What the policy ignores is not looked at, and not descended into unless
    a later rule names something below. At `boundaries` something foreign is mounted: they are not entered. `keep` is
    given digest and content of small frozen files that every user may read; `pace` and `most` are the `Reader`'s.
    """

    def __init__(
        self,
        root: str,
        policy: Policy,
        *,
        boundaries: frozenset[str] = frozenset(),
        hasher: Hasher | None = None,
        keep: Callable[[str, bytes], None] | None = None,
        pace: inspect.Pace | None = None,
        most: int | None = None,
    ) -> None:
        """
        Raises:
            InputError: the root cannot be opened.
        """
        self._policy = policy
        self._boundaries = boundaries
        self._keeps = keep is not None
        self._looker = Looker(policy, boundaries, Reader(hasher, keep, pace, most))
        self._root = inspect.open_root(root)

    def close(self) -> None:
        """Gives up what is unfinished, and the root's descriptor back; the scan is of no use after it."""
        self._looker.close()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def entries(self, key: str = "/") -> Iterator[Entry]:
        """The entry at `key` and everything below it, in order; nothing where there is nothing."""
        for event in self._finished(self._events(key, None)):
            assert isinstance(event, Entry)  # runs come out of a cache alone
            yield event

    def changes(self, cache: StatCache, unsteady: Container[int] = ()) -> Iterator[Entry | Run]:
        """Every entry from `/` down; what is as the cache knows it is not read, and comes in runs where it can.

        The cache is not asked on `unsteady` devices, as `mounts.unsteady` names them.
        """
        recall = Recall(self._looker, cache, unsteady)
        yield from self._finished(_joined(self._events("/", recall)))
        recall.finish()

    def entry(self, key: str) -> Entry | None:
        """The entry at `key` alone; None where there is nothing, or nothing that the policy compares."""
        parent, found = self._find(key)
        if parent is not None:
            os.close(parent.descriptor)
        entry = found.entry if isinstance(found, Seen) else found
        return entry if entry is not None and entry.finish() else None

    def _finished(self, events: Iterator[Entry | Run]) -> Iterator[Entry | Run]:
        """The same in the same order; the walk goes on while files are hashed."""
        ahead: deque[Entry | Run] = deque()
        for event in events:
            ahead.append(event)
            while ahead and (ahead[0].unfinished is None or len(ahead) > MAX_AHEAD):
                first = ahead.popleft()
                if first.finish():
                    yield first
        while ahead:
            first = ahead.popleft()
            if first.finish():
                yield first

    # ---------------------------------------------------------------------------------------------- walking

    def _events(self, key: str, recall: Recall | None) -> Iterator[Entry | Run]:
        parent, found = self._find(key)
        stack = [] if parent is None else [parent]
        try:
            if isinstance(found, Entry):
                yield found
            elif found is not None and parent is not None:
                if found.entry is not None:
                    yield found.entry
                parent.steps = iter((found.name,) if found.enter else ())
                yield from self._below(stack, recall)
        finally:
            for folder in stack:
                if folder.descriptor >= 0:
                    os.close(folder.descriptor)

    def _find(self, key: str) -> tuple[_Folder | None, Seen | Entry | None]:
        """Goes down to `key` without following a link: the folder that holds it, and what stands there.

        The root itself is held by a folder without a key, under the name `.`.
        """
        *parents, last = [".", *(name for name in key.split("/") if name)]
        here = _Folder(os.dup(self._root), "", self._policy.top())
        try:
            for name in parents:
                path = here.path_of(name)
                if path in self._boundaries:
                    os.close(here.descriptor)
                    return None, None
                descriptor = os.open(name, inspect.OPEN_DIR, dir_fd=here.descriptor)
                os.close(here.descriptor)
                here = _Folder(descriptor, path, here.state, name)
            return here, self._looker.look(here, last)
        except OSError as error:
            os.close(here.descriptor)
            if error.errno in SWAPPED:
                return None, None
            return None, Entry(key, self._policy.decide(key), b"", reason(error), hidden_below=True)

    def _below(self, stack: list[_Folder], recall: Recall | None) -> Iterator[Entry | Run]:
        """What is still to come of the folders of `stack`, the last one first; the caller closes what stays open."""
        while stack:
            folder = stack[-1]
            step = next(folder.steps, None)
            if step is None:
                if len(stack) > 1 and stack[-2].descriptor < 0 and not self._open_again(stack[-2], folder):
                    yield self._late(stack[-2], "was moved while it was scanned")
                os.close(stack.pop().descriptor)
            elif isinstance(step, str):
                child = self._enter(folder, step, recall)
                if not isinstance(child, _Folder):
                    yield child
                    continue
                stack.append(child)
                if len(stack) > MAX_OPEN_FOLDERS + 1:  # the first is no parent of the second where both are the root
                    self._give_up(stack[-1 - MAX_OPEN_FOLDERS])
            else:
                yield step

    def _enter(self, parent: _Folder, name: str, recall: Recall | None) -> _Folder | Entry | Run:
        """Opens a folder and lists it; an entry with the reason where that fails, a run where that is all of it."""
        folder = _Folder(-1, parent.path_of(name), parent.state, name)
        try:
            descriptor = folder.descriptor = os.open(name, inspect.OPEN_DIR, dir_fd=parent.descriptor)
        except OSError as error:
            return self._late(folder, reason(error), vanished=error.errno in SWAPPED)
        try:
            if self._keeps:
                folder.public = parent.public and bool(os.fstat(descriptor).st_mode & stat.S_IXOTH)
            if recall is not None:
                steps = recall.steps(folder)
            else:
                steps = self._looker.steps(folder, inspect.listing(descriptor))
        except OSError as error:
            os.close(descriptor)
            return self._late(folder, reason(error))
        except inspect.ReadStoppedError:
            os.close(descriptor)
            raise
        if isinstance(steps, Run):
            os.close(descriptor)
            return steps
        folder.steps = steps
        return folder

    def _late(self, folder: OpenFolder, why: str, *, vanished: bool = False) -> Entry:
        """What is found out of a folder after its entry was handed on."""
        entry = Entry(folder.key, self._looker.ruling(folder.state).decision, b"", why, hidden_below=not vanished)
        entry.late = True
        return entry

    @staticmethod
    def _give_up(folder: _Folder) -> None:
        """Closes it until its last open child is done; it is closed already where that has a sibling."""
        if folder.descriptor < 0:
            return
        status = os.fstat(folder.descriptor)
        folder.identity = (status.st_dev, status.st_ino)
        os.close(folder.descriptor)
        folder.descriptor = -1

    @staticmethod
    def _open_again(parent: _Folder, child: _Folder) -> bool:
        """Opens `parent` as the `..` of its child; False, and nothing to come, where that is another folder now."""
        try:
            parent.descriptor = os.open("..", inspect.OPEN_DIR, dir_fd=child.descriptor)
        except OSError:
            parent.descriptor = os.dup(child.descriptor)
        else:
            status = os.fstat(parent.descriptor)
            if (status.st_dev, status.st_ino) == parent.identity:
                return True
        parent.steps = iter(())
        return False


def _joined(events: Iterator[Entry | Run]) -> Iterator[Entry | Run]:
    """The same with runs that follow each other as one, up to `MAX_RUN_BYTES`."""
    lines: list[bytes] = []
    count = size = 0
    for event in events:
        if isinstance(event, Run):
            lines.append(event.lines)
            count += event.count
            size += len(event.lines)
            if size < MAX_RUN_BYTES:
                continue
        if lines:
            yield Run(b"".join(lines), count)
            lines, count, size = [], 0, 0
        if isinstance(event, Entry):
            yield event
    if lines:
        yield Run(b"".join(lines), count)
