"""`POST /write` and `/api/v2/write`: line protocol in, as InfluxDB 1.x and 2.x take it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from drift_agent.clock import Clock
from drift_agent.errors import StoreError
from drift_collector.server.auth import REALM, Access, AccessError
from drift_collector.server.body import BodyError, Budget, Limits, read_body, text_blocks
from drift_collector.store.lines import PRECISIONS, BadLine, Line, read_line

_BATCH: Final = 10_000
_MAX_NAMED: Final = 100
_MAX_MESSAGE: Final = 256 << 10


class Writer(Protocol):
    """Where checked lines go."""

    def write(self, lines: list[Line], bound_to: str | None = None) -> list[BadLine]:
        """Stores them in one transaction; gives back those that it refused."""


@dataclass(frozen=True, slots=True)
class WriteEndpoint:
    """One write path: a line without a time has the `clock`'s.

    `shape` makes its error body of a message, as that version of InfluxDB does.
    """

    writer: Writer
    access: Access
    limits: Limits
    budget: Budget
    clock: Clock
    shape: Callable[[int, str], dict[str, str]]

    async def __call__(self, request: Request) -> Response:
        """204 when everything is stored; 400 names the lines that are not; the database's name is not looked at."""
        try:
            bound_to = await run_in_threadpool(self.access.grant, request, "write")
            unit = _unit(request)
            body = await read_body(request, self.limits, self.budget)
        except AccessError as error:
            return self._refusal(error.status, str(error), REALM if error.status == 401 else None)
        except BodyError as error:
            # What is left of the body will not be read: the connection cannot be used again.
            return self._refusal(error.status, str(error), {"Connection": "close"})
        size = len(body)
        try:
            encoding = request.headers.get("content-encoding", "").strip().lower()
            bad, count = await run_in_threadpool(self._store, body, encoding, unit, bound_to)
        except BodyError as error:
            return self._refusal(error.status, str(error))
        except StoreError as error:
            return self._refusal(503, str(error), {"Retry-After": "10"})
        finally:
            self.budget.give_back(size)
        return self._refusal(400, partial_write(bad, count)) if count else Response(status_code=204)

    def _store(self, body: bytearray, encoding: str, unit: int, bound_to: str) -> tuple[list[BadLine], int]:
        """The first bad lines and the count of all; batches that were stored stay so, for writing again is no harm."""
        bad: list[BadLine] = []
        count = 0
        lines = _lines(text_blocks(body, encoding, self.limits), self.clock.time_ns(), unit)
        while batch := list(islice(lines, _BATCH)):
            refused = [line for line in batch if isinstance(line, BadLine)]
            refused += self.writer.write([line for line in batch if isinstance(line, Line)], bound_to or None)
            count += len(refused)
            bad += refused[: _MAX_NAMED - len(bad)]
        return bad, count

    def _refusal(self, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        return JSONResponse(
            self.shape(status, message), status, {"X-Influxdb-Error": _header(message), **(headers or {})}
        )


def _lines(blocks: Iterator[bytes], now: int, unit: int) -> Iterator[Line | BadLine]:
    for block in blocks:
        try:
            texts = block.decode().split("\n")
        except UnicodeDecodeError:
            texts = []
            for raw in block.split(b"\n"):
                try:
                    texts.append(raw.decode())
                except UnicodeDecodeError:
                    yield BadLine(raw.decode(errors="replace"), "not UTF-8")
        for text in texts:
            line = read_line(text, now, unit)
            if line is not None:
                yield line


def _unit(request: Request) -> int:
    precision = request.query_params.get("precision") or "ns"
    unit = PRECISIONS.get(precision)
    if unit is None:
        raise BodyError(400, f"invalid precision {precision[:20]!r}: use ns, us, ms or s")
    return unit


def partial_write(bad: list[BadLine], count: int) -> str:
    """The message of InfluxDB 1.x: each bad line with its reason, and how many points were dropped."""
    named: list[str] = []
    room = _MAX_MESSAGE
    for line in bad:
        room -= len(line.text)
        if room < 0 and named:
            break
        named.append(f"unable to parse '{line.text[:_MAX_MESSAGE]}': {line.reason}")
    if count > len(named):
        named.append(f"… and {count - len(named)} more")
    text = "\n".join(named)
    return f"partial write: {text} dropped={count}"


def shape_v1(_: int, message: str) -> dict[str, str]:
    """The error body of `/write`."""
    return {"error": message}


def shape_v2(status: int, message: str) -> dict[str, str]:
    """The error body of `/api/v2/write`."""
    codes = {400: "invalid", 401: "unauthorized", 403: "forbidden", 413: "request too large", 503: "unavailable"}
    return {"code": codes.get(status, "internal error"), "message": message}


def _header(message: str) -> str:
    return message.encode("ascii", "replace").decode().replace("\n", " ")[:200]
