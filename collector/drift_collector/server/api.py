"""`/api/v1/…`: reports and items as JSON lines, for `--store http(s)://collector`."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from drift_agent.errors import StoreError
from drift_collector.server.auth import REALM, Access, AccessError
from drift_collector.server.body import BodyError, Budget, Limits, read_body
from drift_collector.store.base import DriftItem, DriftReport, Store
from drift_collector.store.wire import write_stream

_CHUNK: Final = 500
_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Api:
    """The endpoints over one store. Every answer is a stream of JSON lines that says where it ends."""

    store: Store
    access: Access
    limits: Limits
    budget: Budget

    async def reports(self, request: Request) -> Response:
        """`GET ?since=NS&until=NS`: the newest report of each instance in that time."""

        def answer() -> Iterable[DriftReport]:
            return self.store.newest(_time(request, "since"), _time(request, "until"))

        return await self._stream(request, answer)

    async def lookback(self, request: Request) -> Response:
        """`POST {"before": NS, "instances": [NAME…] | null}`: the newest report of each before that time."""
        try:
            await run_in_threadpool(self.access.grant, request, "read")
            body = await read_body(request, self.limits, self.budget)
            try:
                before, instances = _lookback(bytes(body))
            finally:
                self.budget.give_back(len(body))
        except AccessError as error:
            return _refusal(error)
        except BodyError as error:
            return JSONResponse({"error": str(error)}, error.status, {"Connection": "close"})
        return await self._stream(request, lambda: self.store.lookback(before, instances))

    async def items(self, request: Request) -> Response:
        """`GET ?instance=NAME&report=NS`: the items of one set."""

        def answer() -> Iterable[DriftItem]:
            instance = request.query_params.get("instance", "")
            return self.store.items(DriftReport(0, instance, report=_time(request, "report")))

        return await self._stream(request, answer)

    async def _stream(self, request: Request, answer: Callable[[], Iterable[DriftReport | DriftItem]]) -> Response:
        try:
            await run_in_threadpool(self.access.grant, request, "read")
            lines = write_stream(await run_in_threadpool(answer))
        except AccessError as error:
            return _refusal(error)
        except BodyError as error:
            return JSONResponse({"error": str(error)}, error.status)
        except StoreError as error:
            return JSONResponse({"error": str(error)}, 503)
        return StreamingResponse(_chunks(lines), media_type="application/x-ndjson")


async def _chunks(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Some hundred lines at a time, made in a thread. The head is out: an error can only be the last line."""
    while True:
        try:
            chunk = await run_in_threadpool(lambda: b"".join(islice(lines, _CHUNK)))
        except StoreError as error:
            yield json.dumps({"error": str(error)}).encode() + b"\n"
            return
        if not chunk:
            return
        yield chunk


def _refusal(error: AccessError) -> Response:
    return JSONResponse({"error": str(error)}, error.status, REALM if error.status == 401 else None)


def _time(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    try:
        value = int(text[:20])
    except ValueError:
        value = 2**63
    if value not in _INT64:
        raise BodyError(400, f"{name} must be a time in ns, not {text[:40]!r}")
    return value


def _lookback(body: bytes) -> tuple[int, list[str] | None]:
    try:
        document = json.loads(body)
        before, instances = document["before"], document.get("instances")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        before = instances = ""
    named = instances is None or (isinstance(instances, list) and all(isinstance(name, str) for name in instances))
    if type(before) is not int or before not in _INT64 or not named:
        raise BodyError(400, 'the body must be {"before": NS, "instances": [NAME, …] or null}')
    return before, instances
