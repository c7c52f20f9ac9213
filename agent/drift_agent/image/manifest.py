"""Reading a manifest: a header, then an item a line, in the order of `canonical.order`.

The file is its own index: one item is found by bisecting it, and memory does not grow with the tree. It is read, not
mapped: whoever cuts a mapped file short would end the agent with SIGBUS.
"""

import hashlib
import os
from collections.abc import Iterator
from typing import Final, Self

from drift_agent.errors import ManifestError
from drift_agent.image.canonical import LineError, decode, key_order, order, place
from drift_agent.image.header import MAX_HEADER_BYTES, Header
from drift_agent.model import Item

MAX_LINE_BYTES: Final = 1 << 20
_BLOCK: Final = 4096
_STREAM: Final = 256 << 10


class Manifest:
    """An open manifest. Lines are validated as they are read; use it as a context manager."""

    def __init__(self, path: str, descriptor: int, header: Header, start: int, head: bytes = b"") -> None:
        self.path = path
        self.header = header
        self._descriptor = descriptor
        self._head = head
        self._start = start
        self._end = self._start + header.length

    @classmethod
    def open(cls, path: str) -> "Manifest":
        """Opens it, and validates its header and its length.

        Raises:
            ManifestError: it cannot be read, is none, or was cut short.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise ManifestError(f"{path}: cannot be read: {error.strerror}; bake one with 'drift image bake'") from None
        try:
            header, head = _read_header(path, descriptor)
            _require_length(path, os.fstat(descriptor).st_size, len(head) + header.length)
            return cls(path, descriptor, header, len(head), head)
        except BaseException:
            os.close(descriptor)
            raise

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def items(self) -> Iterator[Item]:
        """Every item, in order.

        Raises:
            ManifestError: a line that is no item, or out of order; the message names the line.
        """
        last: tuple[str, bytes] = ("", b"")
        for number, line in enumerate(self.lines(), 2):
            item = self.parse(line, number)
            here = order(item.kind, item.key)
            if here <= last:
                raise self.fault(number, "is out of order")
            last = here
            yield item

    def ordered(self) -> Iterator[tuple[tuple[str, bytes], bytes]]:
        """Every raw line behind its place, as `canonical.order` gives it; parsed only as far as that needs.

        Raises:
            ManifestError: a line that is no item, as far as that shows in its kind and key, or out of order.
        """
        last: tuple[str, bytes] = ("", b"")
        for number, line in enumerate(self.lines(), 2):
            here = self._place(line, number)
            if here <= last:
                raise self.fault(number, "is out of order")
            last = here
            yield here, line

    def lines(self, start: int | None = None, end: int | None = None) -> Iterator[bytes]:
        """The raw lines, newlines included: all items', or those between two offsets that `locate` gave.

        They are not validated: `parse` does that.

        Raises:
            ManifestError: the file was cut short meanwhile, or a line is longer than 1 MiB.
        """
        rest = b""
        for block in self.blocks(start, end):
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > MAX_LINE_BYTES:
                raise ManifestError(f"{self.path}: has a line of more than 1 MiB")
            for line in lines:
                yield line + b"\n"
        if rest:
            raise ManifestError(f"{self.path}: its last line has no end: it was cut short")

    def blocks(self, start: int | None = None, end: int | None = None) -> Iterator[bytes]:
        """The same in blocks of any length, not cut at lines.

        Raises:
            ManifestError: the file was cut short meanwhile.
        """
        position = self._start if start is None else start
        end = self._end if end is None else end
        while position < end:
            block = os.pread(self._descriptor, min(_STREAM, end - position), position)
            if not block:
                raise ManifestError(f"{self.path}: was cut short while it was read")
            position += len(block)
            yield block

    def file_digest(self) -> str:
        """Hex SHA-256 of the whole file as it stands now, its header and all that the digest there leaves out.

        Raises:
            ManifestError: as `blocks`.
        """
        return self._digest(b"", self.blocks(0))

    def read_digest(self) -> str:
        """The same with the header as it was read: what `header` says is part of it, whatever stands there by now.

        Raises:
            ManifestError: as `blocks`.
        """
        return self._digest(self._head, self.blocks())

    @staticmethod
    def _digest(begin: bytes, blocks: Iterator[bytes]) -> str:
        total = hashlib.sha256(begin)
        for block in blocks:
            total.update(block)
        return total.hexdigest()

    def lines_below(self, key: str) -> Iterator[bytes]:
        """The raw lines of the file `key` and of everything below it."""
        return self.lines(*self.span_below(key))

    def span_below(self, key: str) -> tuple[int, int]:
        """Where the lines of the file `key` and of everything below it begin and end."""
        behind = key_order(key) if key != "/" else b""
        return self.locate(order("file", key)), self.locate(("file", behind + b"\x01"))

    def line(self, kind: str, key: str) -> bytes:
        """The raw line of this kind and key; empty where there is none.

        Raises:
            ManifestError: a line on the way is no item.
        """
        offset = self.locate(order(kind, key))
        if offset >= self._end:
            return b""
        line = self._line_at(offset, offset)[1]
        item = self.parse(line)
        return line if (item.kind, item.key) == (kind, key) else b""

    def parse(self, line: bytes, number: int = 0) -> Item:
        """The item of a line; `number` counts from 1, the header's.

        Raises:
            ManifestError: it is none.
        """
        try:
            return decode(line)
        except LineError as error:
            raise self.fault(number, str(error)) from None

    def fault(self, number: int, what: str) -> ManifestError:
        """The error that names a line; 0 stands for a line whose number is not known."""
        where = f"line {number}" if number else "a line"
        return ManifestError(f"{self.path}: {where} {what}")

    def find(self, kind: str, key: str) -> Item | None:
        """The item of this kind and key, by bisection.

        Raises:
            ManifestError: a line on the way is no item.
        """
        line = self.line(kind, key)
        return self.parse(line) if line else None

    def of_kind(self, kind: str) -> Iterator[Item]:
        """The items of one kind, in order."""
        for line in self.lines(*self.span_of(kind)):
            yield self.parse(line)

    def span_of(self, kind: str) -> tuple[int, int]:
        """Where the lines of one kind begin and end."""
        return self.locate((kind, b"")), self.locate((kind + "\0", b""))

    def locate(self, wanted: tuple[str, bytes]) -> int:
        """Offset of the first item at or behind a place as `canonical.order` gives it; else the file's end.

        Raises:
            ManifestError: a line on the way is no item, as far as that shows in its kind and key.
        """
        low, high = self._start, self._end  # both are beginnings of lines; everything before `low` is smaller
        while low < high:
            offset, line = self._line_at((low + high) // 2, low)
            if self._place(line) < wanted:
                low = offset + len(line)
            else:
                high = offset
        return low

    def _place(self, line: bytes, number: int = 0) -> tuple[str, bytes]:
        try:
            return place(line)
        except LineError as error:
            raise self.fault(number, str(error)) from None

    def _line_at(self, position: int, lowest: int) -> tuple[int, bytes]:
        """The line that holds the byte at `position`, and its offset; `lowest` is a beginning at or before it."""
        start = self._line_start(position, lowest)
        line = b""
        while not line.endswith(b"\n"):
            block = os.pread(self._descriptor, min(_BLOCK, self._end - start - len(line)), start + len(line))
            if not block or len(line) > MAX_LINE_BYTES:
                raise ManifestError(f"{self.path}: was cut short, or has a line of more than 1 MiB")
            newline = block.find(b"\n")
            line += block if newline < 0 else block[: newline + 1]
        return start, line

    def _line_start(self, position: int, lowest: int) -> int:
        end = position
        while end > lowest:
            begin = max(lowest, end - _BLOCK // 4)
            newline = os.pread(self._descriptor, end - begin, begin).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
            if position - begin > MAX_LINE_BYTES:
                raise ManifestError(f"{self.path}: has a line of more than 1 MiB")
            end = begin
        return lowest


def _require_length(path: str, size: int, wanted: int) -> None:
    if size != wanted:
        raise ManifestError(
            f"{path}: holds {size} bytes where its header says {wanted}: it was cut short, or changed after the bake"
        )


def _read_header(path: str, descriptor: int) -> tuple[Header, bytes]:
    raw = b""
    try:
        while (end := raw.find(b"\n")) < 0:
            block = os.read(descriptor, 64 << 10)
            if not block or len(raw) > MAX_HEADER_BYTES:
                raise ManifestError(f"{path}: line 1 has no end: it is no manifest, or was cut short")
            raw += block
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return Header.decode(raw[: end + 1]), raw[: end + 1]
    except ManifestError as error:
        raise ManifestError(f"{path}: line 1: {error}") from None
