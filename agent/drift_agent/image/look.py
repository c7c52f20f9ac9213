"""One name in an open folder → its entry: what a stat says, and what has to be opened for it.

The name is looked at by the folder's descriptor and never followed. What vanishes while it is looked at is looked at
again, and is then absent; what cannot be read is an entry with an error, never a silence.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from json.encoder import encode_basestring
from typing import Final

from drift_agent.image import inspect
from drift_agent.image.canonical import XATTR, encode, string_member
from drift_agent.image.entry import Entry, Place, Seen, Unfinished
from drift_agent.image.globs import State
from drift_agent.image.hashing import MIN_BYTES, Hasher
from drift_agent.image.inspect import reason
from drift_agent.image.policy import ALL_ATTRIBUTES, Decision, Policy
from drift_agent.image.stat_record import NO_STAT, stat_key
from drift_agent.model import AttributeValue, Item

SWAPPED: Final = frozenset((errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.ESTALE))
"""How an open fails where something else, or nothing, stands since the stat."""

_ATTEMPTS: Final = 3
_NEED_OPEN: Final = frozenset(("sha256", "flags", "xattr"))


class _SwappedError(Exception):
    """The entry is not any more what the stat before had said."""


class Looker:
    """Looks at names under one policy; large files go to `hasher`, if there is one.

    At `boundaries` something foreign is mounted: they are not entered. `keep` is given digest and content of small
    frozen files that every user may read. `pace` is told what is read here; files of more than `most` bytes, and those
    at which it raises `PostponedError`, are postponed.
    """

    def __init__(
        self,
        policy: Policy,
        boundaries: frozenset[str],
        hasher: Hasher | None,
        keep: Callable[[str, bytes], None] | None,
        pace: inspect.Pace | None,
        most: int | None,
    ) -> None:
        self._policy = policy
        self._boundaries = boundaries
        self._hasher = hasher
        self._keep = keep
        self._pace = pace
        self._most = most
        self._rulings: dict[State, tuple[Decision, bool]] = {}
        self._buffer = bytearray(inspect.BLOCK)

    def ruling(self, state: State) -> tuple[Decision, bool]:
        """What holds in this state, and whether something below may be compared."""
        ruling = self._rulings.get(state)
        if ruling is None:
            ruling = self._rulings[state] = (self._policy.decision(state), self._policy.descends(state))
        return ruling

    def is_looked_at(self, state: State) -> bool:
        """Whether anything is compared in this state, or may be below it."""
        decision, descends = self.ruling(state)
        return decision.path_class != "ignored" or descends

    def steps(self, folder: Place, names: Sequence[str]) -> Iterator[Entry | str]:
        """The entries of a folder, each folder's name behind its entry if it is to be entered."""
        for name in names:
            seen = self.look(folder, name)
            if seen is not None:
                if seen.entry is not None:
                    yield seen.entry
                if seen.enter:
                    yield name

    def look(self, folder: Place, name: str) -> Seen | None:
        """What stands at `name` in a folder; None where nothing does, or only what is ignored with all below.

        The name `.` stands for the folder without a key: the root.
        """
        state = folder.state_below(folder.state, name)
        if not self.is_looked_at(state):
            return None
        decision = self.ruling(state)[0]
        key = folder.path_of(name)
        for _ in range(_ATTEMPTS):
            try:
                status = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    return self._at_folder(folder, name, key, state, status)
                if decision.path_class == "ignored":
                    return Seen(name, None, stat_key(status))
                if stat.S_ISREG(status.st_mode):
                    return self._at_file(folder, name, key, decision, status)
                return Seen(name, self._at_other(folder, name, key, decision, status), stat_key(status))
            except FileNotFoundError:
                return None
            except _SwappedError:
                continue
            except OSError as error:
                return Seen(name, Entry(key, decision, b"", reason(error), hidden_below=True), NO_STAT)
        changing = "changed each time it was looked at"
        return Seen(name, Entry(key, decision, b"", changing, hidden_below=True), NO_STAT)

    def finish(self, entry: Entry) -> None:
        """Waits until the entry's content is hashed, and makes its line."""
        unfinished = entry.unfinished
        if unfinished is None or self._hasher is None:
            return
        digest = ""
        try:
            digest = self._hasher.result(unfinished.ticket)
        except OSError as failure:
            entry.error = reason(failure)
        entry.unfinished = None
        attributes = unfinished.ticket.attributes
        entry.line = _file_line(entry.key, entry.decision, unfinished.status, attributes, digest)

    def _at_folder(self, parent: Place, name: str, key: str, state: State, status: os.stat_result) -> Seen:
        decision, descends = self.ruling(state)
        descriptor = self._open(name, inspect.OPEN_DIR, parent)
        if isinstance(descriptor, str):
            line = _line(key, decision, inspect.stat_attributes(status))
            return Seen(name, Entry(key, decision, line, descriptor, hidden_below=True), stat_key(status))
        error = ""
        attributes: dict[str, AttributeValue] = {}
        try:
            status = os.fstat(descriptor)
            attributes = inspect.extended(descriptor, decision.attributes)
        except OSError as failure:
            error = reason(failure)
        finally:
            os.close(descriptor)
        enter = descends and key not in self._boundaries
        if decision.path_class == "ignored":
            return Seen(name, None, stat_key(status), enter)
        if not attributes and decision.attributes is ALL_ATTRIBUTES and not error:
            line = (
                f'{{"kind":"file",{_key_member(key)},"type":"dir","mode":"{stat.S_IMODE(status.st_mode):04o}"'
                f',"uid":{status.st_uid},"gid":{status.st_gid}}}\n'
            ).encode()
        else:
            line = _line(key, decision, {**inspect.stat_attributes(status), **attributes})
        entry = Entry(key, decision, line, error, hidden_below=key in self._boundaries)
        return Seen(name, entry, stat_key(status), enter)

    def _at_file(self, folder: Place, name: str, key: str, decision: Decision, status: os.stat_result) -> Seen:
        wanted = decision.attributes
        if wanted.isdisjoint(_NEED_OPEN):
            line = _line(key, decision, inspect.stat_attributes(status))
            return Seen(name, Entry(key, decision, line), stat_key(status))
        descriptor = self._open(name, inspect.OPEN_FILE, folder)
        if isinstance(descriptor, str):
            line = _line(key, decision, inspect.stat_attributes(status))
            return Seen(name, Entry(key, decision, line, descriptor), stat_key(status))
        attributes: dict[str, AttributeValue] = {}
        digest = error = ""
        postponed = False
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _SwappedError
            if "sha256" in wanted and self._hasher is not None and (self._keep is None or status.st_size >= MIN_BYTES):
                ticket = self._hasher.submit(descriptor, status.st_size, wanted)
                if ticket is not None:
                    descriptor = -1
                    entry = Entry(key, decision, b"")
                    entry.unfinished = Unfinished(ticket, status)
                    return Seen(name, entry, stat_key(status))
            attributes = inspect.extended(descriptor, wanted)
            postponed = "sha256" in wanted and self._most is not None and status.st_size > self._most
            if "sha256" in wanted and not postponed:
                content, digest = inspect.digest(descriptor, status.st_size, self._buffer, self._pace)
                if content is not None and self._keep is not None and _is_public(folder, status, decision):
                    self._keep(digest, content)
        except OSError as failure:
            error = reason(failure)
        except inspect.PostponedError:
            postponed = True
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        entry = Entry(key, decision, _file_line(key, decision, status, attributes, digest), error)
        entry.postponed = postponed
        return Seen(name, entry, stat_key(status))

    def _at_other(self, folder: Place, name: str, key: str, decision: Decision, status: os.stat_result) -> Entry:
        attributes = inspect.stat_attributes(status)
        error = ""
        if attributes["type"] == "link":
            try:
                attributes["target"] = os.readlink(name, dir_fd=folder.descriptor)
            except OSError as failure:
                if failure.errno in SWAPPED or failure.errno == errno.EINVAL:
                    raise _SwappedError from None
                error = reason(failure)
        if "xattr" in decision.attributes:
            try:
                attributes.update(inspect.xattrs(f"/proc/self/fd/{folder.descriptor}/{name}"))
            except OSError as failure:
                error = error or reason(failure)
        return Entry(key, decision, _line(key, decision, attributes), error)

    @staticmethod
    def _open(name: str, how: int, folder: Place) -> int | str:
        """A descriptor, or why there is none."""
        try:
            return os.open(name, how, dir_fd=folder.descriptor)
        except OSError as error:
            if error.errno in SWAPPED:
                raise _SwappedError from None
            return reason(error)


def _is_public(folder: Place, status: os.stat_result, decision: Decision) -> bool:
    return decision.path_class == "frozen" and folder.public and bool(status.st_mode & stat.S_IROTH)


def _key_member(key: str) -> str:
    return f'"key":{encode_basestring(key)}' if key.isascii() else string_member("key", key)


def _file_line(
    key: str, decision: Decision, status: os.stat_result, attributes: dict[str, AttributeValue], digest: str
) -> bytes:
    """The line of a file; the most frequent case, every attribute and neither flags nor xattrs, without detours."""
    if digest and not attributes and decision.attributes is ALL_ATTRIBUTES:
        return (
            f'{{"kind":"file",{_key_member(key)},"type":"file","mode":"{stat.S_IMODE(status.st_mode):04o}"'
            f',"uid":{status.st_uid},"gid":{status.st_gid},"nlink":{status.st_nlink},"sha256":"{digest}"}}\n'
        ).encode()
    if digest:
        attributes = {**attributes, "sha256": digest}
    return _line(key, decision, {**inspect.stat_attributes(status), **attributes})


def _line(key: str, decision: Decision, attributes: dict[str, AttributeValue]) -> bytes:
    """The canonical line of the attributes that the decision wants."""
    wanted = decision.attributes
    if wanted is not ALL_ATTRIBUTES:
        attributes = {
            name: value for name, value in attributes.items() if ("xattr" if name.startswith(XATTR) else name) in wanted
        }
    return encode(Item("file", key, attributes))
