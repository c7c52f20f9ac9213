"""Bytes of a log file → whole records: lines, or several lines that a start pattern holds together. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_RECORD_BYTES: Final = 64 << 10
"""What is longer is cut here, and counted."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole records of one file, one after the other: `data` begins at `offset` of it.

    `ordinal` numbers the files of a section; `log` is the file's name without folder, rotation and suffix.
    """

    data: bytes
    offset: int
    ordinal: int
    log: str
    start: re.Pattern[bytes] | None = None

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Offset in the file and bytes of each record, without its newline; empty ones are left out."""
        if self.start is None:
            position = 0
            for line in self.data.split(b"\n"):
                text = line.strip(b"\0\r")
                if text:
                    yield self.offset + position, text
                position += len(line) + 1
            return
        starts = [match.start() for match in self.start.finditer(self.data)]
        if not starts or starts[0] != 0:
            starts.insert(0, 0)
        for begin, end in zip(starts, [*starts[1:], len(self.data)], strict=True):
            text = self.data[begin:end].strip(b"\0\r\n")
            if text:
                yield self.offset + begin, text


def compile_start(pattern: str) -> re.Pattern[bytes]:
    """`multiline_start`: finds the first line of each record. Raises re.error."""
    return re.compile(b"^(?:" + pattern.encode() + b")", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cut:
    """What of a block of bytes can be taken: the first `taken` bytes hold `data`.

    `skipping`: the rest of a line that was cut is still to come. `cut`: lines that were.
    """

    data: bytes
    taken: int
    skipping: bool = False
    cut: int = 0


def take_whole(block: bytes, *, skipping: bool, last: bool, start: re.Pattern[bytes] | None, full: bool) -> Cut:
    """The whole records at the beginning of `block`.

    `skipping`: the block begins within a line that was cut. `last`: nothing will follow, so that the rest is whole
    too. `full`: the block is as long as blocks get, so that a line that it does not end must be cut.
    """
    begin = 0
    if skipping:
        newline = block.find(b"\n")
        if newline < 0:
            return Cut(b"", len(block), skipping=not last)
        begin = newline + 1
    end = len(block) if last else block.rfind(b"\n") + 1
    if start is not None and not last:
        end = _last_start(block, begin, end, start)
    if end <= begin:
        if not full:
            return Cut(b"", begin)
        end = block.rfind(b"\n", begin) + 1  # a record of several lines that is too long ends with the block
        if end <= begin:
            return Cut(block[begin : begin + MAX_RECORD_BYTES] + b"\n", len(block), skipping=True, cut=1)
    data, cut = _shorten(block[begin:end])
    return Cut(data, end, cut=cut)


def _last_start(block: bytes, begin: int, end: int, start: re.Pattern[bytes]) -> int:
    """Where the last record begins: it may go on."""
    found = begin
    for match in start.finditer(block, begin, end):
        found = match.start()
    return found


def _shorten(data: bytes) -> tuple[bytes, int]:
    """Lines over the limit are cut, in blocks that hold one."""
    if len(data) <= MAX_RECORD_BYTES or not any(len(line) > MAX_RECORD_BYTES for line in data.split(b"\n")):
        return data, 0
    lines = data.split(b"\n")
    cut = sum(len(line) > MAX_RECORD_BYTES for line in lines)
    return b"\n".join(line[:MAX_RECORD_BYTES] for line in lines), cut
