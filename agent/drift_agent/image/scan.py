"""A tree → its entries, in the order of a manifest, streamed.

Folders are opened by descriptor, one component at a time, without following links: a tree that changes underneath can
neither mislead the scan nor lead it outside. What vanishes while it is looked at is looked at again, and is then
absent; what cannot be read is an entry with an error, never a silence.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Final, Self

from drift_agent.errors import InputError
from drift_agent.image import inspect
from drift_agent.image.canonical import XATTR, encode, string_member
from drift_agent.image.globs import State
from drift_agent.image.policy import ALL_ATTRIBUTES, Decision, Policy
from drift_agent.model import AttributeValue, Item

MAX_OPEN_FOLDERS: Final = 100
"""Ancestors beyond it are closed and opened again through `..`: a tree may be deeper than a process may have files."""

_ATTEMPTS: Final = 3
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


@dataclass(slots=True)
class _Folder:
    """A folder on the way, the names in it that are still to come, and how to know it again."""

    descriptor: int
    key: str
    state: State
    identity: tuple[int, int]
    names: Iterator[str]
    public: bool = True
    """Whether every user may pass through it and all folders above."""

    def path_of(self, name: str) -> str:
        return f"{self.key}/{name}" if self.key != "/" else f"/{name}"


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
        entry, folder = self._find(key)
        stack = [] if folder is None else [folder]
        try:
            if entry is not None:
                yield entry
            yield from self._below(stack)
        finally:
            for open_folder in stack:
                if open_folder.descriptor >= 0:
                    os.close(open_folder.descriptor)

    def entry(self, key: str) -> Entry | None:
        """The entry at `key` alone; None where there is nothing, or nothing that the policy compares."""
        entry, folder = self._find(key)
        if folder is not None:
            os.close(folder.descriptor)
        return entry

    # ---------------------------------------------------------------------------------------------- walking

    def _find(self, key: str) -> tuple[Entry | None, _Folder | None]:
        """Goes down to `key` without following a link."""
        here = _Folder(self._root, "", self._policy.top(), (0, 0), iter(()))
        *parents, last = [".", *(name for name in key.split("/") if name)]
        try:
            for name in parents:
                state = here.state if name == "." else here.state.child(name)
                path = "/" if name == "." else here.path_of(name)
                if path in self._boundaries:
                    return None, None
                descriptor = os.open(name, inspect.OPEN_DIR, dir_fd=here.descriptor)
                self._release(here)
                here = _Folder(descriptor, path, state, (0, 0), iter(()))
            return self._look(here, last)
        except OSError as error:
            if error.errno in _SWAPPED:
                return None, None
            decision = self._policy.decide(key)
            return Entry(key, decision, b"", _reason(error), hidden_below=True), None
        finally:
            self._release(here)

    def _release(self, folder: _Folder) -> None:
        if folder.descriptor != self._root:
            os.close(folder.descriptor)

    def _below(self, stack: list[_Folder]) -> Iterator[Entry]:
        """Everything below the last folder of `stack`, which holds what is open; the caller closes that."""
        while stack:
            folder = stack[-1]
            name = next(folder.names, None)
            if name is None:
                if len(stack) > 1 and stack[-2].descriptor < 0 and not self._open_again(stack[-2], folder):
                    decision, _ = self._verdict(stack[-2].state)
                    yield Entry(stack[-2].key, decision, b"", "was moved while it was scanned", hidden_below=True)
                os.close(stack.pop().descriptor)
                continue
            entry, child = self._look(folder, name)
            if child is not None:
                stack.append(child)
                if len(stack) > MAX_OPEN_FOLDERS:
                    given_up = stack[-1 - MAX_OPEN_FOLDERS]
                    os.close(given_up.descriptor)
                    given_up.descriptor = -1
            if entry is not None:
                yield entry

    @staticmethod
    def _open_again(parent: _Folder, child: _Folder) -> bool:
        """Opens `parent` as the `..` of its child; False, and no more names, where that is another folder now."""
        try:
            parent.descriptor = os.open("..", inspect.OPEN_DIR, dir_fd=child.descriptor)
        except OSError:
            parent.descriptor = os.dup(child.descriptor)
        else:
            status = os.fstat(parent.descriptor)
            if (status.st_dev, status.st_ino) == parent.identity:
                return True
        parent.names = iter(())
        return False

    def _verdict(self, state: State) -> tuple[Decision, bool]:
        """What holds in this state, and whether something below may be compared."""
        verdict = self._verdicts.get(state)
        if verdict is None:
            verdict = self._verdicts[state] = (self._policy.decision(state), self._policy.descends(state))
        return verdict

    # ---------------------------------------------------------------------------------------------- looking

    def _look(self, folder: _Folder, name: str) -> tuple[Entry | None, _Folder | None]:
        """The entry `name` of a folder (None where it is ignored, or gone), and the folder to enter, if it is one.

        The name `.` stands for the folder without a key: the root.
        """
        state = folder.state if name == "." else folder.state.child(name)
        decision, descends = self._verdict(state)
        if decision.path_class == "ignored" and not descends:
            return None, None
        key = "/" if name == "." else folder.path_of(name)
        for _ in range(_ATTEMPTS):
            try:
                status = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    return self._look_at_folder(folder, name, key, state, status)
                if decision.path_class == "ignored":
                    return None, None
                if stat.S_ISREG(status.st_mode):
                    return self._look_at_file(folder, name, key, decision, status), None
                return self._look_at_other(folder, name, key, decision, status), None
            except FileNotFoundError:
                return None, None
            except _SwappedError:
                continue
            except OSError as error:
                return Entry(key, decision, b"", _reason(error), hidden_below=True), None
        return Entry(key, decision, b"", "changed each time it was looked at", hidden_below=True), None

    def _look_at_folder(
        self, parent: _Folder, name: str, key: str, state: State, status: os.stat_result
    ) -> tuple[Entry | None, _Folder | None]:
        decision, descends = self._verdict(state)
        error = ""
        names: list[str] = []
        attributes: dict[str, AttributeValue] = {}
        descriptor = self._open(name, inspect.OPEN_DIR, parent)
        if isinstance(descriptor, str):
            line = _line(key, decision, inspect.stat_attributes(status))
            return Entry(key, decision, line, descriptor, hidden_below=True), None
        entered = False
        try:
            status = os.fstat(descriptor)
            try:
                attributes = _extended(descriptor, decision.attributes)
                if descends and key not in self._boundaries:
                    names = _names(descriptor)
            except OSError as failure:
                error = _reason(failure)
            entered = bool(names)
        finally:
            if not entered:
                os.close(descriptor)
        child = None
        if entered:
            public = parent.public and bool(status.st_mode & stat.S_IXOTH)
            child = _Folder(descriptor, key, state, (status.st_dev, status.st_ino), iter(names), public)
        if decision.path_class == "ignored" and not error:
            return None, child
        if not attributes and decision.attributes is ALL_ATTRIBUTES and not error:
            line = (
                f'{{"kind":"file",{_key_member(key)},"type":"dir","mode":"{stat.S_IMODE(status.st_mode):04o}"'
                f',"uid":{status.st_uid},"gid":{status.st_gid}}}\n'
            ).encode()
        else:
            line = _line(key, decision, {**inspect.stat_attributes(status), **attributes})
        return Entry(key, decision, line, error, hidden_below=bool(error) or key in self._boundaries), child

    def _look_at_file(self, folder: _Folder, name: str, key: str, decision: Decision, status: os.stat_result) -> Entry:
        wanted = decision.attributes
        if wanted.isdisjoint(_NEED_OPEN):
            return Entry(key, decision, _line(key, decision, inspect.stat_attributes(status)))
        descriptor = self._open(name, inspect.OPEN_FILE, folder)
        if isinstance(descriptor, str):
            return Entry(key, decision, _line(key, decision, inspect.stat_attributes(status)), descriptor)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _SwappedError
            attributes: dict[str, AttributeValue] = {}
            digest = error = ""
            try:
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
            return Entry(key, decision, _file_line(key, status, digest))
        if digest:
            attributes["sha256"] = digest
        return Entry(key, decision, _line(key, decision, {**inspect.stat_attributes(status), **attributes}), error)

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
