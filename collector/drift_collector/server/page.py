"""The fleet page: one self-contained document, no scripts, nothing from elsewhere. All that a host said is escaped."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from drift_agent.clock import Clock
from drift_agent.errors import StoreError
from drift_agent.line_protocol import portable
from drift_agent.units import format_duration
from drift_collector.fleet.model import Fleet, Trusted, Verdict
from drift_collector.fleet.read import read_reports
from drift_collector.fleet.verdict import judge
from drift_collector.server.auth import REALM, Access, AccessError
from drift_collector.server.style import CSS
from drift_collector.store.base import Store

MAX_ROWS: Final = 500
_SECOND: Final = 1_000_000_000
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class FleetPage:
    """The page over one store. `trusted` gives the trusted manifests, None where the agents' own word counts."""

    store: Store
    access: Access
    clock: Clock
    trusted: Callable[[], Mapping[str, Trusted] | None]

    async def fleet(self, request: Request) -> Response:
        """`GET /`: every instance, worst first."""
        try:
            await run_in_threadpool(self.access.grant, request, "read")
            text = await run_in_threadpool(self._render)
        except AccessError as error:
            return PlainTextResponse(f"{error}\n", error.status, REALM if error.status == 401 else None)
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return HTMLResponse(text, headers=_HEADERS)

    def _render(self) -> str:
        now = self.clock.time_ns()
        return render(judge(read_reports(self.store, now), now, self.trusted()), now)


def render(fleet: Fleet, now: int) -> str:
    """The document of a fleet. Pure; `now` is Unix ns."""
    rows = "".join(_row(verdict, now) for verdict in fleet.verdicts[:MAX_ROWS])
    more = len(fleet.verdicts) - MAX_ROWS
    rest = f'<p class="note">… and {more} more; <code>drift report</code> has them all.</p>' if more > 0 else ""
    body = (
        f"<table><thead><tr><th>State<th>Instance<th>Image<th>Group<th>Changes<th>Seen<th>Why</tr></thead>"
        f"<tbody>{rows}</tbody></table>{rest}"
        if rows
        else '<p class="empty">No agent has reported yet. Point one here: <code>drift-agent run --config agent.toml'
        "</code></p>"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="refresh" content="10"><title>Driftline</title>'
        f"<style>{CSS}</style></head><body><header><h1>Driftline</h1>{_summary(fleet)}</header>"
        f"<main>{body}</main></body></html>"
    )


def _summary(fleet: Fleet) -> str:
    tiles = "".join(
        f'<li class="{state}"><b>{count}</b> {state}</li>' for state, count in fleet.summary().items() if count
    )
    coverage = fleet.coverage
    trust = (
        "the agents' own word: no trusted manifests"
        if fleet.trusted_images is None
        else f"{fleet.trusted_images} trusted manifests"
    )
    return f"<ul>{tiles}</ul><p>Coverage <b>{coverage.fresh}/{coverage.expected}</b> · Trust: {trust}</p>"


def _row(verdict: Verdict, now: int) -> str:
    changes = " ".join(
        f"<span>{sign}{count}</span>"
        for sign, count in (
            ("+", verdict.added),
            ("\u2212", verdict.removed),
            ("~", verdict.modified),
            ("↺", verdict.reverted),
            ("login ", verdict.logins),
        )
        if count
    )
    host = f"<small>{shown(verdict.host)}</small>" if verdict.host and verdict.host != verdict.instance else ""
    why = "; ".join(shown(reason.text) for reason in verdict.reasons)
    return (
        f'<tr><td><span class="state {verdict.state}">{verdict.state}</span>'
        f'<td class="name">{shown(verdict.instance)}{host}<td data-label="Image">{shown(verdict.image)}'
        f'<td data-label="Group">{shown(verdict.group)}<td class="changes">{changes}'
        f'<td data-label="Seen">{_age(verdict.last_seen, now)}<td class="why">{why}</tr>'
    )


def shown(text: str) -> str:
    """Text of a host, safe in the document: control characters in escaped form, markup as text."""
    return escape(portable(text) if not text.isprintable() else text)


def _age(moment: int | None, now: int) -> str:
    if moment is None:
        return "never"
    seconds = (now - moment) // _SECOND
    return f"in {format_duration(-seconds)}" if seconds < -1 else f"{format_duration(seconds)} ago"
