"""The fleet as comma-separated values, for a spreadsheet: RFC 4180, a row an instance, worst first."""

import csv
from typing import Final

from rich.console import Console

from drift_agent.text import shown
from drift_agent.units import rfc3339
from drift_collector.fleet.model import Fleet, Verdict
from drift_collector.report.format import Format

HEADINGS: Final = (
    "instance", "host", "image", "group", "state", "reasons",
    "added", "removed", "modified", "reverted", "logins", "since", "last_seen",
)  # fmt: skip


def write(fleet: Fleet, console: Console, _now: int, _everything: bool) -> None:
    """One line of headings, then the instances. Of reasons there are the codes, with a space between them."""
    rows = csv.writer(console.file)
    rows.writerow(HEADINGS)
    rows.writerows(_row(verdict) for verdict in fleet.verdicts)


def _row(verdict: Verdict) -> tuple[str | int, ...]:
    return (
        _cell(verdict.instance), _cell(verdict.host), _cell(verdict.image), _cell(verdict.group), verdict.state,
        " ".join(reason.code for reason in verdict.reasons),
        verdict.added, verdict.removed, verdict.modified, verdict.reverted, verdict.logins,
        rfc3339(verdict.since) or "", rfc3339(verdict.last_seen) or "",
    )  # fmt: skip


def _cell(text: str) -> str:
    """Text of a host that no spreadsheet takes for a formula."""
    return f"'{shown(text)}" if text[:1] in ("=", "+", "-", "@") else shown(text)


FORMAT: Final = Format("csv", write)
