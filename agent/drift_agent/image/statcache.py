"""What the last scan saw, so that the next one need not read what has not changed.

One binary record a folder, in walk order: the names in it, of each the stat by which a change is known (device,
inode, size, mtime, ctime: the kernel sets ctime at every change of content or attributes), and its canonical line. A
scan that finds the same names and stats takes the lines as they are.

An entry that changed within the last two seconds is not trusted: it could change again within the same tick of the
file system's clock. A cache that belongs to another manifest, or is damaged, is no cache.
"""

import os
import struct
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import IO, Final

FRESH_NS: Final = 2_000_000_000
"""How long an entry must have been left alone before its stat is trusted."""

STAT_BYTES: Final = 40
PLAIN, DESCEND, SINGLE, SINGLE_DESCEND, HIDDEN, HIDDEN_DESCEND = range(6)
"""How an entry is handed on: within a run of lines; by itself, for it is sealed; not at all, for it is ignored. A
folder is then entered, or not."""
ENTERED: Final = frozenset((DESCEND, SINGLE_DESCEND, HIDDEN_DESCEND))

_MAGIC: Final = b"driftline stat cache 1\n"
_HEAD: Final = struct.Struct("<IIII")
_MAX_PART: Final = 256 << 20
_COPY: Final = 1 << 20

Stat = tuple[int, int, int, int, int]


def stat_key(status: os.stat_result) -> Stat:
    """The part of a stat that tells a change."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def pack(numbers: list[int]) -> bytes:
    """The stats of many entries, one behind the other."""
    try:
        return array("Q", numbers).tobytes()
    except OverflowError:  # times before 1970
        return array("Q", [number & 0xFFFF_FFFF_FFFF_FFFF for number in numbers]).tobytes()


@dataclass(frozen=True, slots=True)
class Record:
    """One folder: the names in it joined by NUL, their stats, how each is handed on, their lines."""

    key: str
    names: bytes
    stats: bytes
    lengths: "array[int]"
    ways: bytes
    lines: bytes

    def encode(self) -> bytes:
        """Its bytes in the file."""
        key = self.key.encode("utf-8", "surrogateescape")
        head = _HEAD.pack(len(key), len(self.names), len(self.ways), len(self.lines))
        return b"".join((head, key, self.names, self.stats, self.lengths.tobytes(), self.ways, self.lines))

    def by_name(self) -> dict[bytes, tuple[bytes, int, bytes]]:
        """Stat, way and line of each entry."""
        ends = list(accumulate(self.lengths))
        return {
            name: (
                self.stats[number * STAT_BYTES : (number + 1) * STAT_BYTES],
                self.ways[number],
                self.lines[ends[number] - self.lengths[number] : ends[number]],
            )
            for number, name in enumerate(self.names.split(b"\0"))
        }


class Stored:
    """A record as it lies in the file; only what is asked for is taken apart."""

    __slots__ = ("_body", "_count", "_lengths_at", "_names_at", "_stats_at", "begin", "key", "size")

    def __init__(self, begin: int, key_length: int, names_length: int, count: int, body: bytes) -> None:
        self.begin = begin
        self.size = _HEAD.size + len(body)
        self.key = body[:key_length]
        self._body = body
        self._count = count
        self._names_at = key_length
        self._stats_at = key_length + names_length
        self._lengths_at = self._stats_at + count * STAT_BYTES

    def holds(self, names: bytes, stats: bytes) -> bool:
        """Whether it is of just these names, with these stats."""
        return self._body[self._names_at : self._lengths_at] == names + stats

    @property
    def ways(self) -> bytes:
        """How each entry is handed on."""
        return self._body[self._lengths_at + 4 * self._count : self._lengths_at + 5 * self._count]

    @property
    def lines(self) -> bytes:
        """The lines of all entries."""
        return self._body[self._lengths_at + 5 * self._count :]

    def record(self) -> Record | None:
        """All of it; None where it does not add up."""
        lengths = array("I")
        lengths.frombytes(self._body[self._lengths_at : self._lengths_at + 4 * self._count])
        names, lines = self._body[self._names_at : self._stats_at], self.lines
        if sum(lengths) != len(lines) or names.count(b"\0") + 1 != self._count:
            return None
        stats = self._body[self._stats_at : self._lengths_at]
        return Record(self.key.decode("utf-8", "surrogateescape"), names, stats, lengths, self.ways, lines)

    def parts(self) -> Iterator[tuple[int, int, int, bytes]]:
        """The entries in order, as many plain ones as possible at once: index of the last, its way, how many, lines.

        Nothing where lengths and lines do not add up.
        """
        ways, lines = self.ways, self.lines
        lengths = array("I")
        lengths.frombytes(self._body[self._lengths_at : self._lengths_at + 4 * self._count])
        ends = [0, *accumulate(lengths)]
        if ends[-1] != len(lines):
            return
        start = 0
        for number, way in enumerate(ways):
            if way == PLAIN:
                continue
            if way == DESCEND:  # its line belongs to the run before it
                yield number, way, number + 1 - start, lines[ends[start] : ends[number + 1]]
            else:
                if start < number:
                    yield number - 1, PLAIN, number - start, lines[ends[start] : ends[number]]
                yield number, way, 1, lines[ends[number] : ends[number + 1]]
            start = number + 1
        if start < len(ways):
            yield len(ways) - 1, PLAIN, len(ways) - start, lines[ends[start] :]

    def raw(self) -> bytes:
        """Its bytes in the file."""
        lines = len(self._body) - self._lengths_at - 5 * self._count
        return _HEAD.pack(len(self.key), self._stats_at - self._names_at, self._count, lines) + self._body


class StatCache:
    """The cache in the file `path`, of the manifest whose `identity` this is.

    Read and written in one go: `take` each folder in walk order, then `keep` what is to be known of it, `finish` at
    the end. Nothing is written while nothing has changed. Where it cannot be written (a full disk) the old one stays.
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
        if ahead is None or ahead.key == raw:
            return ahead
        place = raw.replace(b"/", b"\0")
        while ahead is not None and ahead.key.replace(b"/", b"\0") < place:
            self._ahead = None
            ahead = self._peek()
        return ahead if ahead is not None and ahead.key == raw else None

    def same(self) -> None:
        """What was taken last holds still."""
        stored = self._ahead
        assert stored is not None
        self._ahead = None
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
        if file.read(self._start) == _MAGIC + self._identity + b"\n":
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


class RecordBuilder:
    """Collects the entries of one folder. What changed after `trusted_before` (Unix time in ns) is to be read again."""

    def __init__(self, trusted_before: int) -> None:
        self._trusted_before = trusted_before
        self._names: list[bytes] = []
        self._stats: list[bytes] = []
        self._lengths = array("I")
        self._ways = bytearray()
        self._lines: list[bytes] = []

    def add(self, name: str, packed: bytes | None, status: Stat, way: int, line: bytes) -> None:
        """One entry; `packed` is its stat where that was trusted before."""
        if packed is None:
            trusted = max(status[3], status[4]) < self._trusted_before
            packed = pack(list(status)) if trusted else bytes(STAT_BYTES)
        self._names.append(os.fsencode(name))
        self._stats.append(packed)
        self._lengths.append(len(line))
        self._ways.append(way)
        self._lines.append(line)

    def record(self, key: str) -> Record:
        """The record of the folder."""
        return Record(
            key,
            b"\0".join(self._names),
            b"".join(self._stats),
            self._lengths,
            bytes(self._ways),
            b"".join(self._lines),
        )


def _read(file: IO[bytes], begin: int) -> Stored | None:
    """The next record; None at the end, and where the file is damaged."""
    head = file.read(_HEAD.size)
    if len(head) != _HEAD.size:
        return None
    key_length, names_length, count, lines_length = _HEAD.unpack(head)
    total = key_length + names_length + count * (STAT_BYTES + 5) + lines_length
    if total > _MAX_PART:
        return None
    body = file.read(total)
    return Stored(begin, key_length, names_length, count, body) if len(body) == total else None
