"""A tree → its entries, in the order of a manifest, streamed.

Folders are opened by descriptor, one component at a time, without following links: a tree that changes underneath can
neither mislead the scan nor lead it outside. What vanishes while it is looked at is looked at again, and is then
absent; what cannot be read is an entry with an error, never a silence.
"""

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from drift_agent.errors import InputError
from drift_agent.image import inspect
from drift_agent.image.canonical import decode
from drift_agent.image.globs import State
from drift_agent.image.hashing import Hasher
from drift_agent.image.look import SWAPPED, Entry, Looker, Place, Seen, reason
from drift_agent.image.policy import Policy
from drift_agent.image.statcache import (
    ENTERED,
    FRESH_NS,
    HIDDEN,
    HIDDEN_DESCEND,
    PLAIN,
    SINGLE,
    SINGLE_DESCEND,
    STAT_BYTES,
    Record,
    RecordBuilder,
    Stat,
    StatCache,
    Stored,
    pack,
)

MAX_OPEN_FOLDERS: Final = 100
"""Ancestors beyond it are closed and opened again through `..`: a tree may be deeper than a process may have files."""

MAX_CACHED_NAMES: Final = 20_000
"""A folder of more is not remembered: a record is held in memory whole."""

MAX_AHEAD: Final = 2048
"""Entries that the walk may be ahead of one whose content is still being hashed."""

MAX_RUN_BYTES: Final = 64 << 10

_NO_STAT: Final[Stat] = (0, 0, 0, 0, 0)
_NOTHING: Final[Iterator[str]] = iter(())


class Run:
    """`count` entries in a row as the last scan saw them: none sealed, none with an error. `lines` are theirs."""

    __slots__ = ("count", "lines")

    def __init__(self, lines: bytes, count: int) -> None:
        self.lines = lines
        self.count = count

    def entries(self, policy: Policy) -> Iterator[Entry]:
        """The same, one by one."""
        for line in self.lines.splitlines(keepends=True):
            key = decode(line).key
            yield Entry(key, policy.decide(key), line)


@dataclass(slots=True)
class _Folder(Place):
    """A folder on the way, how to know it again, and what is still to come of it (names of folders to enter)."""

    identity: tuple[int, int] = (0, 0)
    steps: Iterator[Entry | Run | str] = _NOTHING


class Scan:
    """Walks over a tree under one policy.

    `root` is the folder that stands for `/`. What the policy ignores is not looked at, and not descended into unless
    a later rule names something below. At `boundaries` something foreign is mounted: they are not entered. `keep` is
    given digest and content of small frozen files that every user may read; `pace` and `most` are the `Looker`'s.
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
        self._looker = Looker(policy, boundaries, hasher, keep, pace, most)
        try:
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(f"{root}: cannot be opened as a root folder: {error.strerror}") from None

    def close(self) -> None:
        """Gives the root's descriptor back; the scan is of no use after it."""
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

    def changes(self, cache: StatCache) -> Iterator[Entry | Run]:
        """Every entry from `/` down; what is as the cache knows it is not read, and comes in runs where it can."""
        return self._finished(self._events("/", cache))

    def entry(self, key: str) -> Entry | None:
        """The entry at `key` alone; None where there is nothing, or nothing that the policy compares."""
        parent, found = self._find(key)
        if parent is not None:
            os.close(parent.descriptor)
        entry = found.entry if isinstance(found, Seen) else found
        if entry is not None:
            self._looker.finish(entry)
        return entry

    def _finished(self, events: Iterator[Entry | Run]) -> Iterator[Entry | Run]:
        """The same in the same order, runs joined; the walk goes on while large files are hashed."""
        ahead: deque[Entry | Run] = deque()
        for event in _joined(events):
            ahead.append(event)
            while ahead and (len(ahead) > MAX_AHEAD or not _is_unfinished(ahead[0])):
                yield self._finish(ahead.popleft())
        while ahead:
            yield self._finish(ahead.popleft())

    def _finish(self, event: Entry | Run) -> Entry | Run:
        if isinstance(event, Entry):
            self._looker.finish(event)
        return event

    # ---------------------------------------------------------------------------------------------- walking

    def _events(self, key: str, cache: StatCache | None) -> Iterator[Entry | Run]:
        parent, found = self._find(key)
        stack = [] if parent is None else [parent]
        try:
            if isinstance(found, Entry):
                yield found
            elif found is not None and parent is not None:
                if found.entry is not None:
                    yield found.entry
                parent.steps = iter((found.name,) if found.enter else ())
                yield from self._below(stack, cache)
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
                path = "/" if name == "." else here.path_of(name)
                if path in self._boundaries:
                    os.close(here.descriptor)
                    return None, None
                descriptor = os.open(name, inspect.OPEN_DIR, dir_fd=here.descriptor)
                os.close(here.descriptor)
                here = _Folder(descriptor, path, here.state if name == "." else here.state.child(name))
            return here, self._looker.look(here, last)
        except OSError as error:
            os.close(here.descriptor)
            if error.errno in SWAPPED:
                return None, None
            return None, Entry(key, self._policy.decide(key), b"", reason(error), hidden_below=True)

    def _below(self, stack: list[_Folder], cache: StatCache | None) -> Iterator[Entry | Run]:
        """What is still to come of the folders of `stack`, the last one first; the caller closes what stays open."""
        while stack:
            folder = stack[-1]
            step = next(folder.steps, None)
            if step is None:
                if len(stack) > 1 and stack[-2].descriptor < 0 and not self._open_again(stack[-2], folder):
                    yield self._late(stack[-2].key, stack[-2].state, "was moved while it was scanned")
                os.close(stack.pop().descriptor)
            elif isinstance(step, str):
                child = self._enter(folder, step, cache)
                if not isinstance(child, _Folder):
                    yield child
                    continue
                stack.append(child)
                if len(stack) > MAX_OPEN_FOLDERS + 1:  # the first is no parent of the second where both are the root
                    given_up = stack[-1 - MAX_OPEN_FOLDERS]
                    status = os.fstat(given_up.descriptor)
                    given_up.identity = (status.st_dev, status.st_ino)
                    os.close(given_up.descriptor)
                    given_up.descriptor = -1
            else:
                yield step

    def _enter(self, parent: _Folder, name: str, cache: StatCache | None) -> _Folder | Entry | Run:
        """Opens a folder and lists it; an entry with the reason where that fails, a run where that is all of it."""
        key = "/" if name == "." else parent.path_of(name)
        state = parent.state if name == "." else parent.state.child(name)
        try:
            descriptor = os.open(name, inspect.OPEN_DIR, dir_fd=parent.descriptor)
        except OSError as error:
            return self._late(key, state, reason(error), vanished=error.errno in SWAPPED)
        try:
            public = parent.public and self._is_passable(descriptor)
            names = _names(descriptor)
        except OSError as error:
            os.close(descriptor)
            return self._late(key, state, reason(error))
        folder = _Folder(descriptor, key, state, public)
        steps = self._steps(folder, names) if cache is None else self._cached_steps(folder, names, cache)
        if isinstance(steps, Run):
            os.close(descriptor)
            return steps
        folder.steps = steps
        return folder

    def _is_passable(self, descriptor: int) -> bool:
        """Whether every user may pass through this folder; nobody asks but who keeps contents."""
        return self._keeps and bool(os.fstat(descriptor).st_mode & stat.S_IXOTH)

    def _late(self, key: str, state: State, why: str, *, vanished: bool = False) -> Entry:
        """What is found out of a folder after its entry was handed on."""
        entry = Entry(key, self._looker.verdict(state)[0], b"", why, hidden_below=not vanished)
        entry.late = True
        return entry

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

    def _steps(self, folder: _Folder, names: list[str]) -> Iterator[Entry | str]:
        """The entries of a folder, each folder's name behind its entry."""
        for name in names:
            seen = self._looker.look(folder, name)
            if seen is not None:
                if seen.entry is not None:
                    yield seen.entry
                if seen.enter:
                    yield name

    def _cached_steps(self, folder: _Folder, names: list[str], cache: StatCache) -> Iterator[Entry | Run | str] | Run:
        """As `_steps`, with the lines of what has not changed out of the cache; one run where nothing is to enter."""
        names = self._looked_at(folder, names)
        if not 0 < len(names) <= MAX_CACHED_NAMES:
            return self._steps(folder, names)
        stats: list[int] = []
        look, descriptor = os.stat, folder.descriptor
        try:
            for name in names:  # `stat_key` by hand: this is where an unchanged rescan spends its time
                s = look(name, dir_fd=descriptor, follow_symlinks=False)
                stats += (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
            packed = pack(stats)
        except OSError:  # somebody is at work here, or we may not look: one by one, and nothing to remember
            return self._steps(folder, names)
        stored = cache.take(folder.key)
        if stored is not None and stored.holds("\0".join(names).encode("utf-8", "surrogateescape"), packed):
            cache.same()
            return self._recorded_steps(folder, stored, names) if any(stored.ways) else Run(stored.lines, len(names))
        record = stored.record() if stored is not None else None
        return self._renewed_steps(folder, names, packed, record, cache)

    def _looked_at(self, folder: _Folder, names: list[str]) -> list[str]:
        """The names that are not ignored with all that may be below."""
        alike = folder.state.child_of_any(names)
        if alike is not None:
            return names if self._is_looked_at(alike) else []
        return [name for name in names if self._is_looked_at(folder.state.child(name))]

    def _is_looked_at(self, state: State) -> bool:
        decision, descends = self._looker.verdict(state)
        return decision.path_class != "ignored" or descends

    def _recorded_steps(self, folder: _Folder, stored: Stored, names: list[str]) -> Iterator[Entry | Run | str]:
        for number, way, count, lines in stored.parts():
            if way in (SINGLE, SINGLE_DESCEND):
                name = names[number]
                yield Entry(folder.path_of(name), self._looker.verdict(folder.state.child(name))[0], lines)
            elif lines:
                yield Run(lines, count)
            if way in ENTERED:
                yield names[number]

    def _renewed_steps(
        self, folder: _Folder, names: list[str], packed: bytes, record: Record | None, cache: StatCache
    ) -> Iterator[Entry | str]:
        """Looks at what changed, remembers the folder anew, then hands everything on."""
        known = record.by_name() if record is not None else {}
        builder = RecordBuilder(time.time_ns() - FRESH_NS)
        everything: list[tuple[Seen, bytes | None]] = []
        complete = True
        for number, name in enumerate(names):
            now = packed[number * STAT_BYTES : (number + 1) * STAT_BYTES]
            stat_then, way, line = known.get(os.fsencode(name), (b"", PLAIN, b""))
            if stat_then == now:
                everything.append((self._as_known(folder, name, way, line), now))
            elif (seen := self._looker.look(folder, name)) is not None:
                everything.append((seen, None))
            else:
                complete = False
        for seen, trusted in everything:  # only now: while the last are looked at, the first are hashed
            line = b""
            if seen.entry is not None:
                self._looker.finish(seen.entry)
                line = seen.entry.line
                complete = complete and not seen.entry.error and not seen.entry.hidden_below
            builder.add(seen.name, trusted, seen.stat, seen.way, line)
        if complete:
            cache.keep(builder.record(folder.key))
        for seen, _ in everything:
            if seen.entry is not None:
                yield seen.entry
            if seen.enter:
                yield seen.name

    def _as_known(self, folder: _Folder, name: str, way: int, line: bytes) -> Seen:
        entry = None
        if way not in (HIDDEN, HIDDEN_DESCEND):
            entry = Entry(folder.path_of(name), self._looker.verdict(folder.state.child(name))[0], line)
        return Seen(name, entry, _NO_STAT, way in ENTERED)


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


def _is_unfinished(event: Entry | Run) -> bool:
    return isinstance(event, Entry) and event.unfinished is not None


def _names(descriptor: int) -> list[str]:
    """The names in an open folder, in the order of their bytes."""
    names = os.listdir(descriptor)
    if all(map(str.isascii, names)):
        names.sort()
    else:  # code points sort as UTF-8 does, but for the surrogates that stand for other bytes
        names.sort(key=os.fsencode)
    return names
