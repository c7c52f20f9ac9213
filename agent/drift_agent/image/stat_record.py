"""What the last scan saw of one folder, as a record of the stat cache.

The folder's own stat, the names in it that are looked at, of each the stat by which a change is known (device, inode,
size, mtime, ctime: the kernel sets ctime at every change of content or attributes, a folder's at every change of the
names in it), how it is handed on, and its canonical line.
"""

import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

STAT_BYTES: Final = 40
_LENGTH_BYTES: Final = 4
_WAY_BYTES: Final = 1
PLAIN, DESCEND, SINGLE, SINGLE_DESCEND, HIDDEN, HIDDEN_DESCEND = range(6)
"""How an entry is handed on: within a run of lines; by itself, for it is sealed; not at all, for it is ignored. A
folder is then entered, or not."""
ENTERED: Final = frozenset((DESCEND, SINGLE_DESCEND, HIDDEN_DESCEND))

HEAD: Final = struct.Struct("<IIII")
"""Bytes of the key, bytes of the names, how many names, bytes of the lines. What follows is what `Stored` reads."""

Stat = tuple[int, int, int, int, int]
NO_STAT: Final[Stat] = (0, 0, 0, 0, 0)
"""Of what could not be looked at, or need not be: never that of anything."""


def stat_key(status: os.stat_result) -> Stat:
    """The part of a stat that tells a change."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def pack(numbers: Sequence[int]) -> bytes:
    """The stats of one or many entries, one behind the other."""
    try:
        return array("Q", numbers).tobytes()
    except OverflowError:  # times before 1970
        return array("Q", [number & 0xFFFF_FFFF_FFFF_FFFF for number in numbers]).tobytes()


@dataclass(frozen=True, slots=True)
class Record:
    """One folder: the names in it joined by NUL, the stats, how each name is handed on, their lines.

    The first of the stats is the folder's own. One that is not to be trusted is all zero, as none ever is.
    """

    key: str
    names: bytes
    stats: bytes
    lengths: "array[int]"
    ways: bytes
    lines: bytes

    def encode(self) -> bytes:
        """Its bytes in the file."""
        key = self.key.encode("utf-8", "surrogateescape")
        head = HEAD.pack(len(key), len(self.names), len(self.ways), len(self.lines))
        return b"".join((head, key, self.names, self.stats, self.lengths.tobytes(), self.ways, self.lines))

    def by_name(self) -> dict[bytes, tuple[bytes, int, bytes]]:
        """Stat, way and line of each entry."""
        ends = list(accumulate(self.lengths))
        return {
            name: (
                self.stats[number * STAT_BYTES : (number + 1) * STAT_BYTES],
                self.ways[number - 1],
                self.lines[ends[number - 1] - self.lengths[number - 1] : ends[number - 1]],
            )
            for number, name in enumerate(self.names.split(b"\0"), 1)
        }


class Stored:
    """A record as it lies in the file; only what is asked for is taken apart.

    Its body is: key · names · stats (the folder's own, then one a name) · lengths of the lines · ways · lines.
    """

    __slots__ = (
        "_body",
        "_count",
        "_lengths_at",
        "_lines_at",
        "_names_at",
        "_stats_at",
        "_ways_at",
        "begin",
        "key",
        "size",
    )

    def __init__(self, begin: int, key_length: int, names_length: int, count: int, body: bytes) -> None:
        self.begin = begin
        self.size = HEAD.size + len(body)
        self.key = body[:key_length]
        self._body = body
        self._count = count
        self._names_at = key_length
        self._stats_at = key_length + names_length
        self._lengths_at = self._stats_at + (1 + count) * STAT_BYTES
        self._ways_at = self._lengths_at + count * _LENGTH_BYTES
        self._lines_at = self._ways_at + count * _WAY_BYTES

    @staticmethod
    def body_bytes(key_length: int, names_length: int, count: int, lines_length: int) -> int:
        """How long the body behind a `HEAD` is."""
        return (
            key_length + names_length + (1 + count) * STAT_BYTES + count * (_LENGTH_BYTES + _WAY_BYTES) + lines_length
        )

    @property
    def count(self) -> int:
        """How many names it holds."""
        return self._count

    def names(self) -> list[bytes]:
        """The names, in order; none where they do not add up."""
        names = self._body[self._names_at : self._stats_at].split(b"\0")
        return names if len(names) == self._count else []

    @property
    def stats(self) -> bytes:
        """The folder's own stat, then those of the names."""
        return self._body[self._stats_at : self._lengths_at]

    @property
    def ways(self) -> bytes:
        """How each entry is handed on."""
        return self._body[self._ways_at : self._lines_at]

    @property
    def lines(self) -> bytes:
        """The lines of all entries."""
        return self._body[self._lines_at :]

    def _lengths(self) -> "array[int]":
        lengths = array("I")
        lengths.frombytes(self._body[self._lengths_at : self._ways_at])
        return lengths

    def record(self) -> Record | None:
        """All of it; None where it does not add up."""
        lengths = self._lengths()
        names, lines = self._body[self._names_at : self._stats_at], self.lines
        if sum(lengths) != len(lines) or names.count(b"\0") + 1 != self._count:
            return None
        key = self.key.decode("utf-8", "surrogateescape")
        return Record(key, names, self.stats, lengths, self.ways, lines)

    def parts(self) -> Iterator[tuple[int, int, int, bytes]]:
        """The entries in order, as many plain ones as possible at once: index of the last, its way, how many, lines.

        Nothing where lengths and lines do not add up.
        """
        ways, lines = self.ways, self.lines
        lengths = self._lengths()
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
        lines = len(self._body) - self._lines_at
        return HEAD.pack(len(self.key), self._stats_at - self._names_at, self._count, lines) + self._body


class RecordBuilder:
    """Collects the entries of one folder, whose own stat is `own`.

    What changed too recently is not known by its stat, and will be looked at again: the folder itself and those in it
    that are to be entered where they changed at `trusted_before` (Unix time in ns) or later, everything else where it
    changed at `written_before` or later (by default the same).
    """

    def __init__(self, own: Stat, trusted_before: int, written_before: int | None = None) -> None:
        self._trusted_before = trusted_before
        self._written_before = trusted_before if written_before is None else written_before
        self._names: list[bytes] = []
        self._stats = [_packed(own, trusted_before)]
        self._lengths = array("I")
        self._ways = bytearray()
        self._lines: list[bytes] = []

    def add(self, name: str, packed: bytes | None, status: Stat, way: int, line: bytes) -> None:
        """One entry; `packed` is its stat where that was trusted before."""
        self._names.append(name.encode("utf-8", "surrogateescape"))
        before = self._trusted_before if way in ENTERED else self._written_before
        self._stats.append(packed if packed is not None else _packed(status, before))
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


def _packed(status: Stat, before: int) -> bytes:
    return pack(status) if max(status[3], status[4]) < before else bytes(STAT_BYTES)
