"""The pages over a store: who may see them, and what they are made from."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from drift_agent.clock import Clock
from drift_agent.errors import DriftlineError
from drift_collector.fleet.model import STATES, Trusted
from drift_collector.fleet.read import END_OF_TIME, judged
from drift_collector.fleet.verdict import judge
from drift_collector.server.auth import REALM, Access, AccessError
from drift_collector.server.html import fleet_page, instance_page, message_page
from drift_collector.server.style import CSS
from drift_collector.store.base import Store

_STYLE: Final = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages over one store. `trusted` gives the trusted manifests, None where the agents' own word counts."""

    store: Store
    access: Access
    clock: Clock
    trusted: Callable[[], Mapping[str, Trusted] | None]

    async def fleet(self, request: Request) -> Response:
        """`GET /[?state=STATE]`: every instance, worst first."""
        wanted = request.query_params.get("state", "")
        only = next((each for each in STATES if each == wanted), "")
        return await self._answer(request, lambda: self._fleet(str(request.base_url), only))

    async def instance(self, request: Request) -> Response:
        """`GET /instance?name=NAME`: one instance and its items."""
        name = request.query_params.get("name", "")
        return await self._answer(request, lambda: self._instance(name))

    def _fleet(self, address: str, only: str) -> tuple[int, str]:
        now = self.clock.time_ns()
        return 200, fleet_page(judged(self.store, now, self.trusted()), now, address, only)

    def _instance(self, name: str) -> tuple[int, str]:
        now = self.clock.time_ns()
        fleet = judge(self.store.lookback(END_OF_TIME, [name]), now, self.trusted(), [name])
        verdict = fleet.verdicts[0]
        if verdict.state == "silent":
            return 404, message_page(f"{name or 'An instance without a name'} has never reported here.")
        items = self.store.items(verdict.evidence) if verdict.evidence is not None else []
        return 200, instance_page(verdict, items, now)

    async def _answer(self, request: Request, make: Callable[[], tuple[int, str]]) -> Response:
        headers: Mapping[str, str] = _HEADERS
        try:
            await run_in_threadpool(self.access.grant, request, "read")
            status, text = await run_in_threadpool(make)
        except AccessError as error:
            status, text = error.status, message_page(str(error))
            headers = {**_HEADERS, **(REALM if error.status == 401 else {})}
        except DriftlineError as error:  # the store, or the folder of trusted manifests
            status, text = 503, message_page(str(error))
        return HTMLResponse(text, status, headers)
