"""The pages as HTML: self-contained, without scripts. Pure. All that a host said is escaped on its way in."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import urlencode

from drift_agent.model import AttributeValue
from drift_agent.text import shown
from drift_agent.units import SECOND, format_duration
from drift_collector.fleet.model import STATES, Fleet, Verdict
from drift_collector.server.style import CSS
from drift_collector.store.base import DriftItem

MAX_ROWS: Final = 500
MAX_NAME: Final = 64
MAX_DIFF_LINES: Final = 1_000
_SIGNS: Final = {"added": "+", "removed": "\u2212", "modified": "~", "reverted": "\u21ba"}


def fleet_page(fleet: Fleet, now: int, address: str, only: str = "") -> str:
    """Every instance, worst first; with `only`, those of that state. `now` is Unix ns.

    `address` is where the reader found the page: of an empty fleet it says that agents are to send there.
    """
    verdicts = [verdict for verdict in fleet.verdicts if only in ("", verdict.state)]
    return _document(
        "Driftline",
        '<header><h1><a href="/">Driftline</a></h1>'
        f'<p class="sub">{_count(len(fleet.verdicts), "instance")}, {_stamp(now)}</p></header>'
        f"{_tiles(fleet, only)}{_facts(fleet)}"
        f'<main class="card">{_table(verdicts, now) if verdicts else _nothing(address, only)}</main>',
        refresh=True,
    )


def instance_page(verdict: Verdict, items: Sequence[DriftItem], now: int) -> str:
    """One instance: its verdict, why, and the items that differ, expected against actual."""
    why = "".join(f"<li>{text(reason.text)}</li>" for reason in verdict.reasons)
    facts = [
        ("Host", text(verdict.host)),
        ("Image", text(verdict.image)),
        ("Group", text(verdict.group)),
        ("Seen", _age(verdict.last_seen, now)),
        ("So since", _stamp(verdict.since) if verdict.since is not None else ""),
    ]
    listed = "".join(_item(item) for item in items)
    if not listed:
        listed = '<p class="empty">No items: it lists nothing that differs.</p>'
    elif len(items) < verdict.announced:
        listed = f'<p class="note">{len(items)} of {verdict.announced} items have arrived.</p>{listed}'
    return _document(
        f"{verdict.instance} - Driftline",
        '<header><h1><a href="/">Driftline</a></h1><p class="sub"><a href="/">all instances</a></p></header>'
        f'<section class="card head"><div class="top"><h2>{text(verdict.instance)}</h2>{_badge(verdict.state)}</div>'
        f"{f'<ul>{why}</ul>' if why else ''}</section>"
        f'<p class="facts">{"".join(f"<span>{name} <b>{value}</b></span>" for name, value in facts if value)}</p>'
        f'<main class="card">{listed}</main>',
        refresh=False,
    )


def message_page(message: str) -> str:
    """One sentence: why there is no other page."""
    return _document(
        "Driftline",
        '<header><h1><a href="/">Driftline</a></h1></header>'
        f'<main class="card"><p class="empty">{text(message)}</p></main>',
        refresh=False,
    )


def text(said: str) -> str:
    """Text of a host, safe in the document: what does not print is escaped, markup is text."""
    return escape(shown(said))


def _short(said: str) -> str:
    """A name in a table, where an endless one must not push the rest away."""
    return text(said if len(said) <= MAX_NAME else f"{said[: MAX_NAME - 1]}…")


def _document(title: str, body: str, *, refresh: bool) -> str:
    again = '<meta http-equiv="refresh" content="10">' if refresh else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{again}<title>{text(title)}</title><style>{CSS}</style></head>"
        f'<body><div class="page">{body}</div></body></html>'
    )


def _tiles(fleet: Fleet, only: str) -> str:
    counts = fleet.summary()
    tiles = [("", "", len(fleet.verdicts), "all")]
    tiles += [(state, f"?state={state}", counts[state], state) for state in STATES if counts[state] or state == only]
    return '<ul class="tiles">{}</ul>'.format(
        "".join(
            f'<li><a class="{state}" href="/{query}"{" aria-current=true" if state == only else ""}>'
            f"<b>{count:,}</b><span>{name}</span></a></li>"
            for state, query, count, name in tiles
        )
    )


def _facts(fleet: Fleet) -> str:
    coverage = fleet.coverage
    if fleet.trusted_images is None:
        trust = "the agents' own word; no trusted manifests are configured"
    else:
        checked = ", signatures checked" if fleet.signatures_checked else ""
        trust = f"digests compared with {_count(fleet.trusted_images, 'trusted manifest')}{checked}"
    gone = f"<span>Terminated <b>{fleet.terminated:,}</b></span>" if fleet.terminated else ""
    return (
        f'<p class="facts"><span>Coverage <b>{coverage.fresh:,} of {coverage.expected:,}</b>'
        f'<meter min="0" max="1" low="0.9" optimum="1" value="{coverage.ratio:.4f}"></meter></span>{gone}'
        f"<span>Trust: <b>{trust}</b></span></p>"
    )


def _table(verdicts: Sequence[Verdict], now: int) -> str:
    rows = "".join(_row(verdict, now) for verdict in verdicts[:MAX_ROWS])
    more = len(verdicts) - MAX_ROWS
    rest = f'<p class="note">… and {more:,} more; <code>drift report</code> lists them all.</p>' if more > 0 else ""
    head = "".join(f"<th>{name}</th>" for name in ("State", "Instance", "Image", "Group", "Changes", "Seen", "Why"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{rest}"


def _row(verdict: Verdict, now: int) -> str:
    host = f"<small>{_short(verdict.host)}</small>" if verdict.host not in ("", verdict.instance) else ""
    why = "; ".join(text(reason.text) for reason in verdict.reasons)
    name = verdict.instance.encode("utf-8", "surrogatepass")  # a name of no text at all must not break the page
    link = escape(f"/instance?{urlencode({'name': name})}")
    return (
        f'<tr><td>{_badge(verdict.state)}</td><td><a href="{link}">{_short(verdict.instance) or "?"}</a>{host}</td>'
        f'<td data-label="Image">{_short(verdict.image) or "?"}</td><td data-label="Group">{_short(verdict.group)}</td>'
        f'<td class="changes">{_changes(verdict)}</td>'
        f'<td class="num" data-label="Seen">{_age(verdict.last_seen, now)}</td><td class="why">{why}</td></tr>'
    )


def _changes(verdict: Verdict) -> str:
    counts: Mapping[str, int] = {
        "added": verdict.added, "removed": verdict.removed, "modified": verdict.modified, "reverted": verdict.reverted,
    }  # fmt: skip
    parts = [
        f'<span class="{name}" title="{name}"><span class="sign">{_SIGNS[name]}{count:,}</span></span>'
        for name, count in counts.items()
        if count
    ]
    if verdict.logins:
        parts.append(f'<span class="tainted"><span class="sign">{_count(verdict.logins, "login")}</span></span>')
    return "".join(parts)


def _item(item: DriftItem) -> str:
    change = item.change if item.change in _SIGNS else "modified"
    about = ", ".join(text(part) for part in (item.path_class, item.severity) if part)
    seen = f", since {_stamp(item.first_seen)}" if item.first_seen > 0 else ""
    rows = "".join(_attribute(name, item.expected, item.actual) for name in sorted({*item.expected, *item.actual}))
    attributes = f"<dl>{rows}</dl>" if rows else ""
    diff = f"<pre>{''.join(_diff(item.diff))}</pre>" if item.diff else ""
    return (
        f'<div class="item {change}"><p><span class="sign">{_SIGNS[change]}</span>'
        f'<span class="key">{text(item.key)}</span></p>'
        f"<small>{text(item.kind)} {text(item.change)}; {about}{seen}</small>{attributes}{diff}</div>"
    )


def _attribute(name: str, expected: Mapping[str, AttributeValue], actual: Mapping[str, AttributeValue]) -> str:
    was = f"<del>{text(_plain(expected[name]))}</del>" if name in expected else ""
    now = f"<ins>{text(_plain(actual[name]))}</ins>" if name in actual else ""
    arrow = " \u2192 " if was and now else ""
    return f"<dt>{text(name)}</dt><dd>{was}{arrow}{now}</dd>"


def _plain(value: AttributeValue) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _diff(diff: str) -> Iterator[str]:
    lines = diff.split("\n")
    for line in lines[:MAX_DIFF_LINES]:
        tag = "i" if line.startswith(("---", "+++", "@@")) else {"+": "ins", "-": "del"}.get(line[:1], "")
        yield f"<{tag}>{text(line)}</{tag}>\n" if tag else f"{text(line)}\n"
    if len(lines) > MAX_DIFF_LINES:
        yield "…\n"


def _nothing(address: str, only: str) -> str:
    if only:
        return f'<p class="empty">No instance is {text(only)}.</p>'
    return (
        '<div class="empty">No agent has reported yet. Give an agent this collector as its output, in its agent.toml:'
        f'<pre>[[outputs]]\nurl = "{text(address.rstrip("/"))}"</pre></div>'
    )


def _badge(state: str) -> str:
    return f'<span class="state {escape(state)}">{escape(state)}</span>'


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _age(moment: int | None, now: int) -> str:
    if moment is None:
        return "never"
    seconds = (now - moment) // SECOND
    return f"in {format_duration(-seconds)}" if seconds < -1 else f"{format_duration(seconds)} ago"


def _stamp(moment: int) -> str:
    try:
        return datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(moment)
