"""The collector as an ASGI application: writes in, fleet page and JSON out."""

from collections.abc import Callable, Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drift_agent import __version__
from drift_agent.clock import Clock
from drift_agent.errors import StoreError
from drift_collector.fleet.model import Trusted
from drift_collector.server.api import Api
from drift_collector.server.auth import Access
from drift_collector.server.body import Budget, Limits
from drift_collector.server.page import Pages
from drift_collector.server.write import WriteEndpoint, Writer, shape_v1, shape_v2
from drift_collector.store.base import Store
from drift_collector.store.tokens import Tokens

_HEADERS: Final = (
    # An acknowledgement needs a header that only a whole answer has: agents look for this one.
    (b"x-influxdb-version", f"driftline-{__version__}".encode()),
    (b"x-driftline-version", __version__.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def make_app(
    store: Store,
    writer: Writer,
    tokens: Tokens,
    clock: Clock,
    *,
    tokens_demanded: bool = False,
    trusted: Callable[[], Mapping[str, Trusted] | None] = lambda: None,
    limits: Limits = Limits(),  # noqa: B008 (a frozen value)
) -> ASGIApp:
    """The application over one store. `trusted` gives the trusted manifests anew for each page."""
    access = Access(tokens, tokens_demanded)
    budget = Budget(limits.pending)
    api = Api(store, access, limits, budget)
    pages = Pages(store, access, clock, trusted)

    def write(shape: Callable[[int, str], dict[str, str]]) -> Callable[[Request], object]:
        return _endpoint(WriteEndpoint(writer, access, limits, budget, clock, shape))

    async def ping(_: Request) -> Response:
        return Response(status_code=204)

    async def health(_: Request) -> Response:
        try:
            await run_in_threadpool(tokens.all)
        except StoreError as error:
            return JSONResponse({"name": "driftline", "status": "fail", "message": str(error)}, 503)
        return JSONResponse(
            {"name": "driftline", "status": "pass", "message": "ready for writes", "version": __version__}
        )

    return _Headers(
        Starlette(
            routes=[
                Route("/ping", ping, methods=["GET", "HEAD"]),
                Route("/health", health, methods=["GET", "HEAD"]),
                Route("/write", write(shape_v1), methods=["POST"]),
                Route("/api/v2/write", write(shape_v2), methods=["POST"]),
                Route("/api/v1/reports", api.reports, methods=["GET"]),
                Route("/api/v1/lookback", api.lookback, methods=["POST"]),
                Route("/api/v1/items", api.items, methods=["GET"]),
                Route("/", pages.fleet, methods=["GET"]),
                Route("/instance", pages.instance, methods=["GET"]),
            ]
        )
    )


def _endpoint(write: WriteEndpoint) -> Callable[[Request], object]:
    """Starlette takes an object with `__call__` for an application of its own; a function is an endpoint."""

    async def endpoint(request: Request) -> Response:
        return await write(request)

    return endpoint


class _Headers:
    """Puts the headers on every answer, errors of the framework's own included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        await self._app(scope, receive, with_headers)
