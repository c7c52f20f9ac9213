"""Follows the files of one section through every kind of rotation, and says where it stands.

A file is known by device and inode while it is open, and by its content for ever: the bytes at its beginning and the
ones before the place up to which it was read.

- *renamed*: the same inode under another name; read on, and the new file of the old name from its beginning.
- *copied and truncated*: the file begins anew; what the copy holds beyond the place that was reached is read there.
  (Lines written between the copy and the truncation are in neither: copytruncate loses them, not we.)
- *gzipped*: the content is known again inside of the `.gz`; only what was not read yet is read from it.
- *deleted*: read to its end through the open descriptor, then forgotten.
- *copies* of a file that is followed are never read.

Files that are there at the first start begin where `from` says; every later one at its beginning.
"""

import json
import logging
import re
from collections.abc import Iterator
from typing import Final

from drift_agent.logs.content import (
    HEAD_BYTES,
    Content,
    Mark,
    MovedError,
    begins_alike,
    is_gzip,
    open_content,
)
from drift_agent.logs.followed import Followed, tail_of
from drift_agent.logs.lines import Chunk
from drift_agent.logs.listing import Found, is_rotated, list_files, log_name
from drift_agent.logs.reading import BLOCK_BYTES, DELETED_IDLE, LOST_AGE, Reading

LOG: Final = logging.getLogger("driftline.logs")

MAX_POLL_BYTES: Final = 4 << 20
AUTO_BYTES: Final = 16 << 20
MAX_LOST: Final = 100


class Tail:
    """The files of one glob. `poll` gives what is new; `state` is what must be kept with it."""

    def __init__(
        self,
        pattern: str,
        *,
        start: str = "auto",
        multiline: re.Pattern[bytes] | None = None,
        restored: bytes | None = None,
        first_ordinal: int = 0,
        max_poll_bytes: int = MAX_POLL_BYTES,
    ) -> None:
        """`start`: auto, beginning or end. `restored`: a `state` of before; without it this is the first start.

        Files are numbered from `first_ordinal` on: sections that begin elsewhere keep their lines' times apart.
        """
        self._pattern = pattern
        self._start = start
        self._reading = Reading(multiline)
        self._max_poll_bytes = max_poll_bytes
        self._files: list[Followed] = []
        self._next = first_ordinal
        self._fresh = True
        self._complained: set[str] = set()
        self.more = False
        """Whether the last poll left something unread that is there already."""
        if restored:
            self._restore(restored)
        self._live = {file.path for file in self._files if file.role == "read" and not is_rotated(file.path)}

    @property
    def cut(self) -> int:
        """Lines that were cut since start."""
        return self._reading.cut

    def state(self) -> bytes:
        """Everything that the next start must know, as JSON."""
        rows = [file.to_json() for file in self._files]
        return json.dumps({"next": self._next, "files": rows}, separators=(",", ":")).encode()

    def _restore(self, state: bytes) -> None:
        try:
            document = json.loads(state)
            self._files = [Followed.from_json(row) for row in document["files"]]
            self._next = document["next"]
            self._fresh = False
        except (ValueError, KeyError, TypeError) as error:
            self._files = []
            LOG.error(
                "logs %s: the kept offsets cannot be read (%s); starting as if for the first time", self._pattern, error
            )

    def close(self) -> None:
        for file in self._files:
            file.close()

    def poll(self, monotonic: float) -> list[Chunk]:
        """Whole records that were not given before, at most about `max_poll_bytes`; oldest files first."""
        followed = [file.path for file in self._files if file.role == "read" and file.listed and not file.lost]
        found = list_files(self._pattern, followed)
        self._recognise({one.key: one for one in found}, monotonic)
        known = {file.key for file in self._files if not file.lost}
        for one in found:
            if one.key not in known:
                self._adopt(one, monotonic)
        self._fresh = False
        return list(self._read(monotonic))

    # ------------------------------------------------------------------------------------------ recognising

    def _recognise(self, found: dict[tuple[int, int], Found], monotonic: float) -> None:
        """Brings what is known up to date with what is listed; contents that vanished become `lost`."""
        lost: set[int] = set()
        for file in list(self._files):
            one = found.get(file.key)
            file.listed = one is not None
            if one is None:
                lost |= self._vanished(file, monotonic)
            elif (one.size, one.mtime_ns) != (file.size, file.mtime_ns):
                still = self._still(file, one)
                if still:
                    file.path, file.size, file.mtime_ns, file.lost = one.path, one.size, one.mtime_ns, False
                elif still is not None:
                    lost |= self._retire(file, monotonic)
            else:
                file.path, file.lost = one.path, False
        forgotten = [file for file in self._files if file.lost][:-MAX_LOST]
        self._files = [file for file in self._files if file not in forgotten]
        # A copy of a content that is lost is looked at anew: it may be the only place now where the rest can be read.
        self._files = [file for file in self._files if file.role != "copy" or file.ordinal not in lost]

    def _vanished(self, file: Followed, monotonic: float) -> set[int]:
        """What is renamed while its folder is listed can be missing there for once: nothing is forgotten at once."""
        if file.content is not None:
            return set()
        if file.lost:
            if monotonic - file.lost_at > (LOST_AGE if file.role == "read" else DELETED_IDLE):
                self._files.remove(file)
            return set()
        file.lost, file.lost_at = True, monotonic
        return {file.ordinal} if file.role == "read" else set()

    def _retire(self, file: Followed, monotonic: float) -> set[int]:
        """The inode holds another content now: what is known of the old one is kept apart from it."""
        file.close()
        if file.role != "read" or file.offset == 0:
            self._files.remove(file)
            return set()
        file.device = file.inode = -1
        file.listed, file.lost, file.lost_at = False, True, monotonic
        return {file.ordinal}

    def _still(self, file: Followed, one: Found) -> bool | None:
        """Whether a listed file that changed holds the content that is known by its inode; None: look again later."""
        if file.role == "copy" and any(one.ordinal == file.ordinal and one.role == "read" for one in self._files):
            return False  # looked at anew: it may have grown into something else
        content = file.content
        try:
            content = content or open_content(one.path, one.key)
            try:
                return file.head.stands(content, 0) and file.tail.stands(content, file.offset - file.tail.length)
            finally:
                if file.content is None:
                    if file.role == "read":
                        file.content = content
                    else:
                        content.close()
        except OSError as error:
            self._complain(one.path, error)
            return None

    # --------------------------------------------------------------------------------------------- adopting

    def _adopt(self, one: Found, monotonic: float) -> None:
        """Takes up a file that is not known by its inode: a new one, a copy, or a lost content found again."""
        try:
            content = open_content(one.path, one.key)
            try:
                file = self._classify(one, content)
            except OSError:
                content.close()
                raise
        except OSError as error:
            self._complain(one.path, error)
            return
        if file is None:
            content.close()
            return
        self._complained.discard(one.path)
        file.size, file.mtime_ns, file.grew_at = one.size, one.mtime_ns, monotonic
        self._files.append(file)
        if file.role == "read":
            file.content = content
        else:
            content.close()

    def _classify(self, one: Found, content: Content) -> Followed | None:
        """What an unknown file is; None while it is empty and nothing can be said."""
        head = content.read(0, HEAD_BYTES)
        if not head:
            return None
        file = Followed(one.path, log_name(one.path), one.device, one.inode, self._next, head=Mark.of(head))
        live = one.path in self._live or one.path == self._pattern
        twin, rest = self._twin(content, live=live)
        if twin is not None and rest:
            self._files.remove(twin)
            file.ordinal, file.log, file.skipping = twin.ordinal, twin.log, twin.skipping
            file.offset, file.head, file.tail = twin.offset, twin.head, twin.tail
            return file
        if twin is not None:
            file.role, file.ordinal = "copy", twin.ordinal
            return file
        if self._fresh and (is_gzip(one.path) or not one.matched):
            file.role = "ignored"
            return file
        self._next += 1
        if self._fresh:
            self._begin(file, one, content)
        if not is_rotated(one.path):
            self._live.add(one.path)
        return file

    def _twin(self, content: Content, *, live: bool) -> tuple[Followed | None, bool]:
        """A content that is known and the same as this one's beginning, and whether its rest is to be read here.

        A new file under a followed path (`live`) is no copy of what was there before, however alike they begin.
        """
        alike = None
        for file in self._files:
            if file.role == "done":
                alike = alike or (file if file.head.stands(content, 0) else None)
            elif file.role != "read":
                continue
            elif file.lost:
                if file.head.length and file.head.stands(content, 0):
                    if file.tail.stands(content, file.offset - file.tail.length):
                        return file, True
                    alike = alike or file
            elif not live and self._begins_alike(file, content):
                return file, False
        return (None if live else alike), False

    def _begins_alike(self, file: Followed, content: Content) -> bool:
        if file.content is not None:
            return begins_alike(file.content, content)
        try:
            other = open_content(file.path, file.key)
        except PermissionError:
            return False
        try:
            return begins_alike(other, content)
        finally:
            other.close()

    def _begin(self, file: Followed, one: Found, content: Content) -> None:
        """Where a file begins that was there at the first start."""
        if self._start == "beginning" or (self._start == "auto" and one.size <= AUTO_BYTES):
            return
        if self._start == "auto":
            LOG.info(
                'logs %s: %s bytes were there already; reading from the end (from = "beginning" reads all)',
                one.path,
                one.size,
            )
        end = content.size()
        rest = content.read(max(0, end - BLOCK_BYTES), BLOCK_BYTES)
        file.skipping = b"\n" not in rest and len(rest) == BLOCK_BYTES
        file.offset = end if file.skipping else end - len(rest) + rest.rfind(b"\n") + 1
        file.tail = tail_of(content, file.offset)

    # ---------------------------------------------------------------------------------------------- reading

    def _read(self, monotonic: float) -> Iterator[Chunk]:
        budget = self._max_poll_bytes
        self.more = False
        for file in sorted(self._files, key=lambda file: file.mtime_ns):
            if file.role != "read" or file.lost:
                continue
            try:
                for chunk in self._reading.read(file, monotonic, budget):
                    budget -= len(chunk.data)
                    yield chunk
            except OSError as error:
                self._complain(file.path, error)
            if budget <= 0:
                self.more = True
                break
        self._files = [file for file in self._files if not file.forgotten]

    def _complain(self, path: str, error: OSError) -> None:
        if not isinstance(error, MovedError | FileNotFoundError) and path not in self._complained:
            self._complained.add(path)
            LOG.warning("logs %s: cannot be read: %s; it is tried again each time", path, error.strerror or error)
