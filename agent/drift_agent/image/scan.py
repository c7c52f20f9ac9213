"""A tree → its entries, in the order of a manifest, streamed.

Folders are opened by descriptor, one component at a time, without following links: a tree that changes underneath can
neither mislead the scan nor lead it outside. What vanishes while it is looked at is looked at again, and is then
absent; what cannot be read is an entry with an error, never a silence.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Final, Self

from drift_agent.errors import InputError
from drift_agent.image import inspect
from drift_agent.image.canonical import XATTR, decode, encode, string_member
from drift_agent.image.globs import State
from drift_agent.image.policy import ALL_ATTRIBUTES, Decision, Policy
from drift_agent.image.statcache import (
    DESCEND,
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
    pack,
    parts,
    stat_key,
)
from drift_agent.model import AttributeValue, Item

MAX_OPEN_FOLDERS: Final = 100
"""Ancestors beyond it are closed and opened again through `..`: a tree may be deeper than a process may have files."""

MAX_CACHED_NAMES: Final = 20_000
"""A folder of more is not remembered: a record is held in memory whole."""

_ATTEMPTS: Final = 3
_NO_STAT: Final[Stat] = (0, 0, 0, 0, 0)
_SWAPPED: Final = frozenset((errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.ESTALE))


class Entry:
    """One entry of the tree that the policy does not ignore.

    `line` is its canonical line; empty where not even a stat was possible. `error` says what of it could not be read
    (its content, its list of names), `hidden_below` that the folder was not looked into.
    """

    __slots__ = ("decision", "error", "hidden_below", "key", "line")

    def __init__(self, key: str, decision: Decision, line: bytes, error: str = "", hidden_below: bool = False) -> None:
        self.key = key
        self.decision = decision
        self.line = line
        self.error = error
        self.hidden_below = hidden_below


@dataclass(frozen=True, slots=True)
class Run:
    """`count` entries in a row as the last scan saw them: none sealed, none with an error. `lines` are theirs."""

    lines: bytes
    count: int

    def entries(self, policy: Policy) -> Iterator[Entry]:
        """The same, one by one."""
        for line in self.lines.splitlines(keepends=True):
            key = decode(line).key
            yield Entry(key, policy.decide(key), line)


@dataclass(slots=True)
class _Folder:
    """A folder on the way, what is still to come of it (names of folders to enter), and how to know it again."""

    descriptor: int
    key: str
    state: State
    identity: tuple[int, int]
    public: bool = True
    """Whether every user may pass through it and all folders above."""
    steps: Iterator[Entry | Run | str] = field(default_factory=lambda: iter(()))

    def path_of(self, name: str) -> str:
        return f"{self.key}/{name}" if self.key != "/" else f"/{name}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """One name as it was looked at: its entry (None where it is ignored), its stat, whether it is to be entered."""

    name: str
    entry: Entry | None
    stat: Stat
    enter: bool = False

    @property
    def way(self) -> int:
        """How a cache hands it on."""
        if self.entry is None:
            return HIDDEN_DESCEND if self.enter else HIDDEN
        if self.entry.decision.path_class == "sealed":
            return SINGLE_DESCEND if self.enter else SINGLE
        return DESCEND if self.enter else PLAIN


class _SwappedError(Exception):
    """The entry is not any more what the stat before had said."""


class Scan:
    """Walks over a tree under one policy.

    `root` is the folder that stands for `/`. What the policy ignores is not looked at, and not descended into unless
    a later rule names something below. At `boundaries` something foreign is mounted: they are not entered. `keep` is
    given digest and content of small frozen files that every user may read.
    """

    def __init__(
        self,
        root: str,
        policy: Policy,
        *,
        boundaries: frozenset[str] = frozenset(),
        keep: Callable[[str, bytes], None] | None = None,
    ) -> None:
        """
        Raises:
            InputError: the root cannot be opened.
        """
        self._policy = policy
        self._boundaries = boundaries
        self._keep = keep
        self._verdicts: dict[State, tuple[Decision, bool]] = {}
        self._buffer = bytearray(inspect.BLOCK)
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
        for event in self._events(key, None):
            assert isinstance(event, Entry)  # runs come out of a cache alone
            yield event

    def changes(self, cache: StatCache) -> Iterator[Entry | Run]:
        """Every entry from `/` down; what is as the cache knows it is not read, and comes in runs where it can."""
        return self._events("/", cache)

    def entry(self, key: str) -> Entry | None:
        """The entry at `key` alone; None where there is nothing, or nothing that the policy compares."""
        parent, found = self._find(key)
        if parent is not None:
            os.close(parent.descriptor)
        return found if isinstance(found, Entry) else None if found is None else found.entry

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

    def _find(self, key: str) -> tuple[_Folder | None, _Seen | Entry | None]:
        """Goes down to `key` without following a link: the folder that holds it, and what stands there.

        The root itself is held by a folder without a key, under the name `.`.
        """
        *parents, last = [".", *(name for name in key.split("/") if name)]
        here = _Folder(os.dup(self._root), "", self._policy.top(), (0, 0))
        try:
            for name in parents:
                path = "/" if name == "." else here.path_of(name)
                if path in self._boundaries:
                    os.close(here.descriptor)
                    return None, None
                descriptor = os.open(name, inspect.OPEN_DIR, dir_fd=here.descriptor)
                os.close(here.descriptor)
                here = _Folder(descriptor, path, here.state if name == "." else here.state.child(name), (0, 0))
            return here, self._look(here, last)
        except OSError as error:
            os.close(here.descriptor)
            if error.errno in _SWAPPED:
                return None, None
            return None, Entry(key, self._policy.decide(key), b"", _reason(error), hidden_below=True)

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
                if isinstance(child, Entry):
                    yield child
                    continue
                stack.append(child)
                if len(stack) > MAX_OPEN_FOLDERS + 1:  # the first is no parent of the second where both are the root
                    given_up = stack[-1 - MAX_OPEN_FOLDERS]
                    os.close(given_up.descriptor)
                    given_up.descriptor = -1
            else:
                yield step

    def _enter(self, parent: _Folder, name: str, cache: StatCache | None) -> _Folder | Entry:
        """Opens a folder and lists it; an entry with the reason where that fails."""
        key = "/" if name == "." else parent.path_of(name)
        state = parent.state if name == "." else parent.state.child(name)
        try:
            descriptor = os.open(name, inspect.OPEN_DIR, dir_fd=parent.descriptor)
        except OSError as error:
            return self._late(key, state, _reason(error))
        try:
            status = os.fstat(descriptor)
            names = _names(descriptor)
        except OSError as error:
            os.close(descriptor)
            return self._late(key, state, _reason(error))
        public = parent.public and bool(status.st_mode & stat.S_IXOTH)
        folder = _Folder(descriptor, key, state, (status.st_dev, status.st_ino), public)
        folder.steps = self._steps(folder, names) if cache is None else self._cached_steps(folder, names, cache)
        return folder

    def _late(self, key: str, state: State, why: str) -> Entry:
        """What is found out of a folder after its entry was handed on."""
        return Entry(key, self._verdict(state)[0], b"", why, hidden_below=True)

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
            seen = self._look(folder, name)
            if seen is not None:
                if seen.entry is not None:
                    yield seen.entry
                if seen.enter:
                    yield name

    def _cached_steps(self, folder: _Folder, names: list[str], cache: StatCache) -> Iterator[Entry | Run | str]:
        """As `_steps`, with the lines of what has not changed out of the cache."""
        names = self._looked_at(folder, names)
        if not 0 < len(names) <= MAX_CACHED_NAMES:
            yield from self._steps(folder, names)
            return
        stats: list[int] = []
        look, descriptor = os.stat, folder.descriptor
        try:
            for name in names:  # `stat_key` by hand: this is where an unchanged rescan spends its time
                s = look(name, dir_fd=descriptor, follow_symlinks=False)
                stats += (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
            packed = pack(stats)
        except OSError:  # somebody is at work here, or we may not look: one by one, and nothing to remember
            yield from self._steps(folder, names)
            return
        record = cache.take(folder.key)
        joined = os.fsencode("\0".join(names))
        if record is not None and record.stats == packed and record.names == joined:
            cache.same()
            yield from self._recorded_steps(folder, record, names)
        else:
            yield from self._renewed_steps(folder, names, packed, record, cache)

    def _looked_at(self, folder: _Folder, names: list[str]) -> list[str]:
        """The names that are not ignored with all that may be below."""
        if folder.state.children_alike:
            decision, descends = self._verdict(folder.state)
            return names if decision.path_class != "ignored" or descends else []
        return [name for name in names if self._is_looked_at(folder.state.child(name))]

    def _is_looked_at(self, state: State) -> bool:
        decision, descends = self._verdict(state)
        return decision.path_class != "ignored" or descends

    def _recorded_steps(self, folder: _Folder, record: Record, names: list[str]) -> Iterator[Entry | Run | str]:
        if not any(record.ways):
            yield Run(record.lines, len(names))
            return
        for number, count, lines in parts(record):
            name, way = names[number], record.ways[number]
            if way in (SINGLE, SINGLE_DESCEND):
                yield Entry(folder.path_of(name), self._verdict(folder.state.child(name))[0], lines)
            elif lines:
                yield Run(lines, count)
            if way in ENTERED:
                yield name

    def _renewed_steps(
        self, folder: _Folder, names: list[str], packed: bytes, record: Record | None, cache: StatCache
    ) -> Iterator[Entry | str]:
        """Looks at what changed, remembers the folder anew, then hands everything on."""
        known = record.by_name() if record is not None else {}
        builder = RecordBuilder(time.time_ns() - FRESH_NS)
        everything: list[_Seen] = []
        complete = True
        for number, name in enumerate(names):
            now = packed[number * STAT_BYTES : (number + 1) * STAT_BYTES]
            stat_then, way, line = known.get(os.fsencode(name), (b"", PLAIN, b""))
            same = stat_then == now
            seen = self._as_known(folder, name, way, line) if same else self._look(folder, name)
            if seen is None:
                complete = False
                continue
            everything.append(seen)
            if seen.entry is not None and (seen.entry.error or seen.entry.hidden_below):
                complete = False
            builder.add(name, now if same else None, seen.stat, seen.way, seen.entry.line if seen.entry else b"")
        if complete:
            cache.keep(builder.record(folder.key))
        for seen in everything:
            if seen.entry is not None:
                yield seen.entry
            if seen.enter:
                yield seen.name

    def _as_known(self, folder: _Folder, name: str, way: int, line: bytes) -> _Seen:
        entry = None
        if way not in (HIDDEN, HIDDEN_DESCEND):
            entry = Entry(folder.path_of(name), self._verdict(folder.state.child(name))[0], line)
        return _Seen(name, entry, _NO_STAT, way in ENTERED)

    def _verdict(self, state: State) -> tuple[Decision, bool]:
        """What holds in this state, and whether something below may be compared."""
        verdict = self._verdicts.get(state)
        if verdict is None:
            verdict = self._verdicts[state] = (self._policy.decision(state), self._policy.descends(state))
        return verdict

    # ---------------------------------------------------------------------------------------------- looking

    def _look(self, folder: _Folder, name: str) -> _Seen | None:
        """What stands at `name` in a folder; None where nothing does, or only what is ignored with all below.

        The name `.` stands for the folder without a key: the root.
        """
        state = folder.state if name == "." else folder.state.child(name)
        decision, descends = self._verdict(state)
        if decision.path_class == "ignored" and not descends:
            return None
        key = "/" if name == "." else folder.path_of(name)
        for _ in range(_ATTEMPTS):
            try:
                status = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    return self._look_at_folder(folder, name, key, state, status)
                if decision.path_class == "ignored":
                    return _Seen(name, None, stat_key(status))
                if stat.S_ISREG(status.st_mode):
                    return self._look_at_file(folder, name, key, decision, status)
                return _Seen(name, self._look_at_other(folder, name, key, decision, status), stat_key(status))
            except FileNotFoundError:
                return None
            except _SwappedError:
                continue
            except OSError as error:
                return _Seen(name, Entry(key, decision, b"", _reason(error), hidden_below=True), _NO_STAT)
        changing = "changed each time it was looked at"
        return _Seen(name, Entry(key, decision, b"", changing, hidden_below=True), _NO_STAT)

    def _look_at_folder(self, parent: _Folder, name: str, key: str, state: State, status: os.stat_result) -> _Seen:
        decision, descends = self._verdict(state)
        descriptor = self._open(name, inspect.OPEN_DIR, parent)
        if isinstance(descriptor, str):
            line = _line(key, decision, inspect.stat_attributes(status))
            return _Seen(name, Entry(key, decision, line, descriptor, hidden_below=True), stat_key(status))
        error = ""
        attributes: dict[str, AttributeValue] = {}
        try:
            status = os.fstat(descriptor)
            attributes = _extended(descriptor, decision.attributes)
        except OSError as failure:
            error = _reason(failure)
        finally:
            os.close(descriptor)
        enter = descends and key not in self._boundaries
        if decision.path_class == "ignored":
            return _Seen(name, None, stat_key(status), enter)
        if not attributes and decision.attributes is ALL_ATTRIBUTES and not error:
            line = (
                f'{{"kind":"file",{_key_member(key)},"type":"dir","mode":"{stat.S_IMODE(status.st_mode):04o}"'
                f',"uid":{status.st_uid},"gid":{status.st_gid}}}\n'
            ).encode()
        else:
            line = _line(key, decision, {**inspect.stat_attributes(status), **attributes})
        entry = Entry(key, decision, line, error, hidden_below=key in self._boundaries)
        return _Seen(name, entry, stat_key(status), enter)

    def _look_at_file(self, folder: _Folder, name: str, key: str, decision: Decision, status: os.stat_result) -> _Seen:
        wanted = decision.attributes
        if wanted.isdisjoint(_NEED_OPEN):
            line = _line(key, decision, inspect.stat_attributes(status))
            return _Seen(name, Entry(key, decision, line), stat_key(status))
        descriptor = self._open(name, inspect.OPEN_FILE, folder)
        if isinstance(descriptor, str):
            line = _line(key, decision, inspect.stat_attributes(status))
            return _Seen(name, Entry(key, decision, line, descriptor), stat_key(status))
        attributes: dict[str, AttributeValue] = {}
        digest = error = ""
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _SwappedError
            attributes = _extended(descriptor, wanted)
            if "sha256" in wanted:
                content, digest = inspect.digest(descriptor, status.st_size, self._buffer)
                if content is not None and self._keep is not None and _is_public(folder, status, decision):
                    self._keep(digest, content)
        except OSError as failure:
            error = _reason(failure)
        finally:
            os.close(descriptor)
        if not attributes and wanted is ALL_ATTRIBUTES and not error:
            return _Seen(name, Entry(key, decision, _file_line(key, status, digest)), stat_key(status))
        if digest:
            attributes["sha256"] = digest
        line = _line(key, decision, {**inspect.stat_attributes(status), **attributes})
        return _Seen(name, Entry(key, decision, line, error), stat_key(status))

    def _look_at_other(self, folder: _Folder, name: str, key: str, decision: Decision, status: os.stat_result) -> Entry:
        attributes = inspect.stat_attributes(status)
        error = ""
        if attributes["type"] == "link":
            try:
                attributes["target"] = os.readlink(name, dir_fd=folder.descriptor)
            except OSError as failure:
                if failure.errno in _SWAPPED or failure.errno == errno.EINVAL:
                    raise _SwappedError from None
                error = _reason(failure)
        if "xattr" in decision.attributes:
            try:
                attributes.update(inspect.xattrs(f"/proc/self/fd/{folder.descriptor}/{name}"))
            except OSError as failure:
                error = error or _reason(failure)
        return Entry(key, decision, _line(key, decision, attributes), error)

    @staticmethod
    def _open(name: str, how: int, folder: _Folder) -> int | str:
        """A descriptor, or why there is none."""
        try:
            return os.open(name, how, dir_fd=folder.descriptor)
        except OSError as error:
            if error.errno in _SWAPPED:
                raise _SwappedError from None
            return _reason(error)


_NEED_OPEN: Final = frozenset(("sha256", "flags", "xattr"))


def _is_public(folder: _Folder, status: os.stat_result, decision: Decision) -> bool:
    return decision.path_class == "frozen" and folder.public and bool(status.st_mode & stat.S_IROTH)


def _extended(descriptor: int, wanted: frozenset[str]) -> dict[str, AttributeValue]:
    """What a stat does not say, of an open file or folder."""
    attributes: dict[str, AttributeValue] = {}
    if "flags" in wanted and (flags := inspect.flags(descriptor)):
        attributes["flags"] = flags
    if "xattr" in wanted:
        attributes.update(inspect.xattrs(descriptor))
    return attributes


def _names(descriptor: int) -> list[str]:
    """The names in an open folder, in the order of their bytes."""
    names = os.listdir(descriptor)
    if all(map(str.isascii, names)):
        names.sort()
    else:  # code points sort as UTF-8 does, but for the surrogates that stand for other bytes
        names.sort(key=os.fsencode)
    return names


def _key_member(key: str) -> str:
    return f'"key":{encode_basestring(key)}' if key.isascii() else string_member("key", key)


def _file_line(key: str, status: os.stat_result, digest: str) -> bytes:
    """`encode` for the most frequent case: a file with every attribute, and neither flags nor xattrs."""
    return (
        f'{{"kind":"file",{_key_member(key)},"type":"file","mode":"{stat.S_IMODE(status.st_mode):04o}"'
        f',"uid":{status.st_uid},"gid":{status.st_gid},"nlink":{status.st_nlink},"sha256":"{digest}"}}\n'
    ).encode()


def _line(key: str, decision: Decision, attributes: dict[str, AttributeValue]) -> bytes:
    """The canonical line of the attributes that the decision wants."""
    wanted = decision.attributes
    if wanted is not ALL_ATTRIBUTES:
        attributes = {
            name: value for name, value in attributes.items() if ("xattr" if name.startswith(XATTR) else name) in wanted
        }
    return encode(Item("file", key, attributes))


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
