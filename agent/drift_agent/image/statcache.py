"""What the last scan saw, so that the next one need not read what has not changed.

One `stat_record` a folder, in walk order. A scan that finds a folder's own stat takes its names as they are, and one
that finds the stats of these the lines. A cache that belongs to another manifest, or is damaged, is no cache.
"""

import os
from contextlib import suppress
from typing import IO, Final

from drift_agent.image.stat_record import HEAD, Record, Stored

_MAGIC: Final = b"driftline stat cache 2\n"
_MAX_PART: Final = 256 << 20
_COPY: Final = 1 << 20


class StatCache:
    """The cache in the file `path`, of the manifest whose `identity` this is.

    Read and written in one go: `take` each folder in walk order, in the same order say that it is the `same` or `keep`
    what is to be known of it, `finish` at the end. Nothing is written while nothing has changed. Where it cannot be
    written (a full disk) the old one stays.
    """

    def __init__(self, path: str, identity: str, *, rehash: bool = False) -> None:
        self._path = path
        self._identity = identity.encode()
        self._start = len(_MAGIC) + len(self._identity) + 1
        self._old: IO[bytes] | None = None if rehash else self._open()
        self._new: IO[bytes] | None = None
        self._same_until = self._start
        self._failed = False
        self._ahead: Stored | None = None
        self._read_until = self._start

    def take(self, key: str) -> Stored | None:
        """What is known of a folder; folders must be asked for in walk order."""
        raw = key.encode("utf-8", "surrogateescape")
        ahead = self._peek()
        if ahead is not None and ahead.key != raw:
            place = raw.replace(b"/", b"\0")
            while ahead is not None and ahead.key.replace(b"/", b"\0") < place:
                self._ahead = None
                ahead = self._peek()
        if ahead is None or ahead.key != raw:
            return None
        self._ahead = None
        return ahead

    def same(self, stored: Stored) -> None:
        """What was taken still holds."""
        if self._new is None and stored.begin == self._same_until:
            self._same_until += stored.size
        else:  # what follows something that changed, or is gone
            self._write(stored.raw())

    def keep(self, record: Record) -> None:
        """What is to be known of a folder from now on."""
        self._write(record.encode())

    def finish(self) -> None:
        """Puts the new cache in the place of the old one."""
        try:
            if self._new is None and (self._old is None or self._same_until != os.fstat(self._old.fileno()).st_size):
                self._begin()
            if self._new is not None and not self._failed:
                self._new.close()
                os.replace(f"{self._path}.tmp", self._path)
        except OSError:
            self._failed = True
        self.close()

    def close(self) -> None:
        """Gives up: what was not finished is not kept."""
        if self._old is not None:
            self._old.close()
        if self._new is not None:
            try:
                self._new.close()
            except OSError:
                self._failed = True
        if self._failed:
            with suppress(OSError):
                os.unlink(f"{self._path}.tmp")

    # ----------------------------------------------------------------------------------------------- reading

    def _open(self) -> IO[bytes] | None:
        try:
            file = open(self._path, "rb", buffering=_COPY)  # noqa: SIM115 (closed by `close`)
        except OSError:
            return None
        if _bytes(file, self._start) == _MAGIC + self._identity + b"\n":
            return file
        file.close()
        return None

    def _peek(self) -> Stored | None:
        if self._ahead is None and self._old is not None:
            self._ahead = _read(self._old, self._read_until)
            if self._ahead is not None:
                self._read_until += self._ahead.size
        return self._ahead

    # ----------------------------------------------------------------------------------------------- writing

    def _write(self, raw: bytes) -> None:
        if self._failed:
            return
        try:
            self._begin().write(raw)
        except OSError:
            self._failed = True

    def _begin(self) -> IO[bytes]:
        """The new file, with everything in it that was the same so far."""
        if self._new is None:
            descriptor = os.open(
                f"{self._path}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            self._new = open(descriptor, "wb", buffering=_COPY)  # noqa: SIM115 (closed by `close`)
            self._new.write(_MAGIC + self._identity + b"\n")
            if self._old is not None:
                offset = self._start
                while offset < self._same_until:
                    block = os.pread(self._old.fileno(), min(_COPY, self._same_until - offset), offset)
                    if not block:
                        break
                    self._new.write(block)
                    offset += len(block)
        return self._new


def _read(file: IO[bytes], begin: int) -> Stored | None:
    """The next record; None at the end, and where the file is damaged or cannot be read."""
    head = _bytes(file, HEAD.size)
    if len(head) != HEAD.size:
        return None
    key_length, names_length, count, lines_length = HEAD.unpack(head)
    total = Stored.body_bytes(key_length, names_length, count, lines_length)
    if total > _MAX_PART:
        return None
    body = _bytes(file, total)
    return Stored(begin, key_length, names_length, count, body) if len(body) == total else None


def _bytes(file: IO[bytes], count: int) -> bytes:
    try:
        return file.read(count)
    except OSError:
        return b""
