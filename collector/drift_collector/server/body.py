"""Bodies of requests, bounded in bytes, memory and time: read whole, then inflated and cut into lines by the block."""

import asyncio
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from starlette.requests import ClientDisconnect, Request

_BLOCK: Final = 256 << 10
_SLICE: Final = 32 << 10


class BodyError(Exception):
    """A body that is refused; `status` is the answer's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and all of them together, may take."""

    body: int = 25 << 20
    """Bytes of one body as sent; InfluxDB 1.x has the same limit."""
    decoded: int = 100 << 20
    """Bytes of one body after inflating."""
    line: int = 1 << 20
    seconds: float = 30.0
    """How long a body may take to arrive."""
    pending: int = 256 << 20
    """Bytes of all bodies that are held at a time."""

    def check_body(self, size: int) -> None:
        """Raises `BodyError` 413 for a body of more bytes than one may have."""
        if size > self.body:
            raise BodyError(413, f"request entity too large: a body may have {self.body} bytes")


class Budget:
    """The bytes of bodies that all requests hold together. Used from one event loop alone."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, count: int) -> None:
        """Raises `BodyError` 503 where there is no room for them now."""
        if count > self._left:
            raise BodyError(503, "too many bodies at once; try again")
        self._left -= count

    def give_back(self, count: int) -> None:
        """What was taken, once the request is over."""
        self._left += count


async def read_body(request: Request, limits: Limits, budget: Budget) -> bytearray:
    """The body as sent. The caller gives `len()` of it back to the budget.

    Raises:
        BodyError: too large (413), too slow (408), no room (503), or the sender went away (400).
    """
    body = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                limits.check_body(len(body) + len(chunk))
                budget.take(len(chunk))
                body += chunk
    except BaseException as error:
        budget.give_back(len(body))
        if isinstance(error, TimeoutError):
            raise BodyError(408, f"the body did not arrive within {limits.seconds:g} s") from None
        if isinstance(error, ClientDisconnect):
            raise BodyError(400, "the body was cut off") from None
        raise
    return body


def text_blocks(body: bytes | bytearray, encoding: str, limits: Limits) -> Iterator[bytes]:
    """Whole lines of the body, some hundred KiB at a time; `encoding` is `gzip`, `identity` or empty.

    Raises:
        BodyError: not that encoding (400, 415), too much after inflating (413), a line that is too long (413).
    """
    rest = b""
    for block in _inflated(body, encoding, limits):
        head, newline, tail = block.rpartition(b"\n")
        if newline:
            yield rest + head
            rest = tail
        else:
            rest += tail
        if len(rest) > limits.line:
            raise BodyError(413, f"request entity too large: a line may have {limits.line} bytes")
    if rest:
        yield rest


def _inflated(body: bytes | bytearray, encoding: str, limits: Limits) -> Iterator[bytes]:
    view = memoryview(body)
    if encoding in ("", "identity"):
        for start in range(0, len(view), _BLOCK):
            yield bytes(view[start : start + _BLOCK])
        return
    if encoding != "gzip":
        raise BodyError(415, f"content encoding {encoding[:40]!r} is not known; send gzip or none")
    try:
        yield from _unzipped(view, limits)
    except zlib.error:
        raise BodyError(400, "the body is not gzip, though its header says so") from None


def _unzipped(view: memoryview, limits: Limits) -> Iterator[bytes]:
    """Slices go in, blocks come out: what zlib gives back of its input is copied, and must never be the whole rest."""
    total = 0
    decoder = None
    for start in range(0, max(len(view), 1), _SLICE):
        data = bytes(view[start : start + _SLICE])
        while data or decoder is not None:
            decoder = decoder or zlib.decompressobj(wbits=31)
            block = decoder.decompress(data, _BLOCK)
            total += len(block)
            if total > limits.decoded:
                raise BodyError(413, f"request entity too large: {limits.decoded} bytes after inflating")
            if block:
                yield block
            if decoder.eof:  # what follows is another member: gzip files may be joined
                data, decoder = decoder.unused_data, None
                continue
            data = decoder.unconsumed_tail
            if not data and len(block) < _BLOCK:
                break
    if decoder is not None or not view:
        raise BodyError(400, "the gzip body is cut short")
