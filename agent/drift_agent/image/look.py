"""One name in an open folder → its entry: what a stat says, and what has to be opened for it.

The name is looked at by the folder's descriptor and never followed. What vanishes while it is looked at is looked at
again, and is then absent; what cannot be read is an entry with an error, never a silence.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from drift_agent.image import inspect
from drift_agent.image.batches import Batches, Record
from drift_agent.image.entry import Entry, OpenFolder, Seen
from drift_agent.image.file_line import file_line, folder_line, line, plain_file_line, xattr_attributes, xattr_members
from drift_agent.image.globs import State
from drift_agent.image.hash_worker import WHOLE
from drift_agent.image.inspect import reason
from drift_agent.image.policy import ALL_ATTRIBUTES, Decision, Policy
from drift_agent.image.reading import Reader
from drift_agent.image.stat_record import NO_STAT, stat_key
from drift_agent.model import AttributeValue

SWAPPED: Final = frozenset((errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.ESTALE))
"""How an open fails where something else, or nothing, stands since the stat."""

_ATTEMPTS: Final = 3
_NEED_OPEN: Final = frozenset(("sha256", "flags", "xattr"))


class _SwappedError(Exception):
    """The entry is not any more what the stat before had said."""


class Ruling(NamedTuple):
    """What holds where the policy stands: whether something below may be compared, whether files are read.

    `compared` is what holds for what is compared there; where the path is ignored that can only be a link.
    """

    decision: Decision
    descends: bool
    reads: bool
    compared: Decision

    @property
    def is_looked_at(self) -> bool:
        """Whether anything is compared there, or may be below."""
        return self.descends or self.decision.path_class != "ignored"


class Looker:
    """Looks at names under one policy; files in batches, where `reader` may.

    At `boundaries` something foreign is mounted: they are not entered.
    """

    def __init__(self, policy: Policy, boundaries: frozenset[str], reader: Reader) -> None:
        self._policy = policy
        self._boundaries = boundaries
        self._reader = reader
        self._rulings: dict[State, Ruling] = {}
        self._batches = Batches(self._settle, reader.pace, alone=reader.alone) if reader.in_batches else None

    def close(self) -> None:
        """Gives up what is unfinished."""
        if self._batches is not None:
            self._batches.close()

    def ruling(self, state: State) -> Ruling:
        """What holds in this state."""
        ruling = self._rulings.get(state)
        if ruling is None:
            decision = self._policy.decision(state)
            reads = decision.path_class != "ignored" and "sha256" in decision.attributes
            descends, compared = self._policy.descends(state), self._policy.of_link(state)
            ruling = self._rulings[state] = Ruling(decision, descends, reads, compared)
        return ruling

    def steps(self, folder: OpenFolder, listed: Sequence[tuple[str, bool]]) -> Iterator[Entry | str]:
        """The entries of a folder, as `inspect.listing` has it, each folder's name behind its entry if it is to be
        entered."""
        alike = folder.state.child_of_any([name for name, _ in listed])
        ruling = self.ruling(alike) if alike is not None else None
        if ruling is not None and not ruling.is_looked_at:
            return
        for name, is_file in listed:
            if is_file:
                given = self.give(folder, name, ruling or self.ruling(folder.state.child(name)))
                if given is not None:
                    yield given
                    continue
            seen = self.look(folder, name)
            if seen is not None:
                if seen.entry is not None:
                    yield seen.entry
                if seen.enter:
                    yield name

    def give(self, folder: OpenFolder, name: str, ruling: Ruling) -> Entry | None:
        """The unfinished entry of what was listed as a file; None where it is to be looked at by itself."""
        if self._batches is None or not ruling.reads:
            return None
        entry = Entry(folder.path_of(name), ruling.decision, b"")
        try:
            self._batches.give(folder, name, entry)
        except OSError:  # too many files are open
            return None
        return entry

    def look(self, folder: OpenFolder, name: str) -> Seen | None:
        """What stands at `name` in a folder; None where nothing does, or only what is ignored with all below.

        The name `.` stands for the folder without a key: the root.
        """
        ruling = self.ruling(folder.state_below(folder.state, name))
        if not ruling.is_looked_at:
            return None
        decision = ruling.decision
        key = folder.path_of(name)
        for _ in range(_ATTEMPTS):
            try:
                status = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    return self._at_folder(folder, name, key, ruling, status)
                if stat.S_ISLNK(status.st_mode):
                    decision = ruling.compared
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

    def _at_folder(self, parent: OpenFolder, name: str, key: str, ruling: Ruling, status: os.stat_result) -> Seen:
        decision = ruling.decision
        descriptor = self._open(name, inspect.OPEN_DIR, parent)
        if isinstance(descriptor, str):
            entry = Entry(key, decision, line(key, decision, status), descriptor, hidden_below=True)
            return Seen(name, entry, stat_key(status))
        error = ""
        attributes: dict[str, AttributeValue] = {}
        try:
            status = os.fstat(descriptor)
            attributes = inspect.extended(descriptor, decision.attributes)
        except OSError as failure:
            error = reason(failure)
        finally:
            os.close(descriptor)
        is_boundary = key in self._boundaries
        enter = ruling.descends and not is_boundary
        if decision.path_class == "ignored":
            return Seen(name, None, stat_key(status), enter)
        entry = Entry(key, decision, folder_line(key, decision, status, attributes), error, hidden_below=is_boundary)
        return Seen(name, entry, stat_key(status), enter)

    def _at_file(self, folder: OpenFolder, name: str, key: str, decision: Decision, status: os.stat_result) -> Seen:
        if decision.attributes.isdisjoint(_NEED_OPEN):
            return Seen(name, Entry(key, decision, line(key, decision, status)), stat_key(status))
        descriptor = self._open(name, inspect.OPEN_FILE, folder)
        if isinstance(descriptor, str):
            return Seen(name, Entry(key, decision, line(key, decision, status), descriptor), stat_key(status))
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise _SwappedError
        entry = Entry(key, decision, b"")
        self._reader.read(folder, entry, descriptor, status)
        return Seen(name, entry, stat_key(status))

    def _at_other(self, folder: OpenFolder, name: str, key: str, decision: Decision, status: os.stat_result) -> Entry:
        more: dict[str, AttributeValue] = {}
        error = ""
        if stat.S_ISLNK(status.st_mode):
            try:
                more["target"] = os.readlink(name, dir_fd=folder.descriptor)
            except OSError as failure:
                if failure.errno in SWAPPED or failure.errno == errno.EINVAL:
                    raise _SwappedError from None
                error = reason(failure)
        if "xattr" in decision.attributes:
            try:
                more.update(inspect.xattrs(f"/proc/self/fd/{folder.descriptor}/{name}"))
            except OSError as failure:
                error = error or reason(failure)
        return Entry(key, decision, line(key, decision, status, more), error)

    @staticmethod
    def _open(name: str, how: int, folder: OpenFolder) -> int | str:
        """A descriptor, or why there is none."""
        try:
            return os.open(name, how, dir_fd=folder.descriptor)
        except OSError as error:
            if error.errno in SWAPPED:
                raise _SwappedError from None
            return reason(error)

    # ------------------------------------------------------------------------------------ what was given away

    def _settle(self, folder: OpenFolder, entry: Entry, record: Record | None, xattrs: bytes, descriptor: int) -> None:
        """What became of a file; `Batches` says how it is told."""
        if record is None:
            self._settle_otherwise(folder, entry)
            return
        how, _, mode, uid, gid, nlink, device, inode, size, mtime, ctime, digest = record
        decision = entry.decision
        entry.stat = (device, inode, size, mtime, ctime)
        if descriptor < 0 and decision.attributes is ALL_ATTRIBUTES:
            members = xattr_members(xattrs) if xattrs else ""
            entry.line = plain_file_line(entry.key, mode, uid, gid, nlink, digest.hex(), members)
            return
        status = os.stat_result((mode, inode, device, nlink, uid, gid, size, 0, 0, 0))
        if not how & WHOLE:
            self._reader.read(folder, entry, descriptor, status)
        else:
            attributes = xattr_attributes(xattrs) if "xattr" in decision.attributes else {}
            if descriptor >= 0:
                try:
                    attributes = inspect.extended(descriptor, decision.attributes)
                except OSError as failure:
                    entry.error = reason(failure)
                finally:
                    os.close(descriptor)
            entry.line = file_line(entry.key, decision, status, attributes, digest.hex())

    def _settle_otherwise(self, folder: OpenFolder, entry: Entry) -> None:
        """A file that could not be seen in a batch: it cannot be opened, or is gone, or is none any more."""
        seen = self.look(folder, os.path.basename(entry.key))
        if seen is None:
            return
        entry.stat = seen.stat
        if seen.entry is None or seen.enter:
            entry.error, entry.hidden_below = "became a folder while it was looked at", True
            return
        seen.entry.finish()
        entry.line, entry.error, entry.hidden_below = seen.entry.line, seen.entry.error, seen.entry.hidden_below
