"""An open file → what a stat does not say of it: content, flags, xattrs, as the line of its entry."""

import os
import stat
from collections.abc import Callable
from functools import partial

from drift_agent.image import inspect
from drift_agent.image.entry import Entry, OpenFolder
from drift_agent.image.file_line import file_line
from drift_agent.image.hashing import Hasher
from drift_agent.image.inspect import reason
from drift_agent.image.ticket import Ticket
from drift_agent.model import AttributeValue


class Reader:
    """Reads files; large ones go to `hasher`, if there is one.

    `keep` is given digest and content of small frozen files that every user may read. `pace` is told what is read here.
    Files of more than `most` bytes, and those at which it raises `PostponedError`, are postponed.
    """

    def __init__(
        self,
        hasher: Hasher | None = None,
        keep: Callable[[str, bytes], None] | None = None,
        pace: inspect.Pace | None = None,
        most: int | None = None,
    ) -> None:
        self.pace = pace
        self._hasher = hasher
        self._keep = keep
        self._most = most
        self._buffer = bytearray(inspect.BLOCK)

    @property
    def in_batches(self) -> bool:
        """Whether files may be read many at a time: who keeps contents reads each by itself, for it needs them."""
        return self._hasher is not None and self._keep is None

    @property
    def alone(self) -> bool:
        """Whether nobody else may read for it."""
        return self._hasher is None or self._hasher.alone

    def read(self, folder: OpenFolder, entry: Entry, descriptor: int, status: os.stat_result) -> None:
        """Makes the line of an open file, which it closes; that of a large one is unfinished then."""
        decision = entry.decision
        reads = "sha256" in decision.attributes
        attributes: dict[str, AttributeValue] = {}
        digest = ""
        try:
            if reads and self._hasher is not None:
                ticket = self._hasher.submit(descriptor, status.st_size, decision.attributes)
                if ticket is not None:
                    descriptor = -1
                    entry.unfinished = partial(self._finish, self._hasher, ticket, entry, status)
                    return
            attributes = inspect.extended(descriptor, decision.attributes)
            entry.postponed = reads and self._most is not None and status.st_size > self._most
            if reads and not entry.postponed:
                content, digest = inspect.digest(descriptor, status.st_size, self._buffer, self.pace)
                if content is not None and self._keep is not None and _is_public(folder, entry, status):
                    self._keep(digest, content)
        except OSError as failure:
            entry.error = reason(failure)
        except inspect.PostponedError:
            entry.postponed = True
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        entry.line = file_line(entry.key, decision, status, attributes, digest)

    @staticmethod
    def _finish(hasher: Hasher, ticket: Ticket, entry: Entry, status: os.stat_result) -> None:
        """Waits for a large file."""
        entry.unfinished = None
        digest = ""
        try:
            digest = hasher.result(ticket)
        except OSError as failure:
            entry.error = reason(failure)
        entry.line = file_line(entry.key, entry.decision, status, ticket.attributes, digest)


def _is_public(folder: OpenFolder, entry: Entry, status: os.stat_result) -> bool:
    return entry.decision.path_class == "frozen" and folder.public and bool(status.st_mode & stat.S_IROTH)
