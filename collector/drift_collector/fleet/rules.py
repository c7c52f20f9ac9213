"""The rules of a verdict, one function each, in the order in which their reasons are shown. Pure.

A rule gets one report and what is known around it, and yields the reasons that it sees. Adding a rule is a function
and a line in `RULES`. Every number in a report was said by a host: it may be negative, or huge.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, get_args

from drift_agent.model import State
from drift_agent.text import cut
from drift_agent.units import SECOND, format_duration
from drift_collector.fleet.model import Reason, Trusted
from drift_collector.store.base import DriftReport

LEAST_FRESHNESS: Final = 60 * SECOND
MOST_INTERVAL: Final = 3600
"""The longest report interval, in s, that a report is believed: what it says must not outlive its host for long."""
MOST_SCAN_INTERVAL: Final = 24 * 3600
"""The longest scan interval, in s, that a report is believed."""

_AGENT_STATES: Final = frozenset(get_args(State))


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may know besides the report. `now` is Unix ns; `trusted` is None where the agents' word counts."""

    now: int
    trusted: Mapping[str, Trusted] | None = None


Rule: TypeAlias = Callable[[DriftReport, Context], Iterator[Reason]]


def freshness(report: DriftReport) -> int:
    """For how many ns a report counts as present: three report intervals, at least a minute, at most three hours."""
    return max(LEAST_FRESHNESS, 3 * min(report.interval, MOST_INTERVAL) * SECOND)


def comparable(report: DriftReport, context: Context) -> bool:
    """Whether the agent compared with what is trusted; always so where nothing is configured to be."""
    if context.trusted is None:
        return True
    trusted = context.trusted.get(report.image)
    if trusted is None or not trusted.usable:
        return False
    return (report.manifest, report.policy) == (trusted.digest, trusted.policy)


def drift(report: DriftReport, context: Context) -> Iterator[Reason]:
    """Items that differ, or did. Compared with something that is not trusted, it is a note."""
    counts = [
        f"{count} {name}"
        for name in ("added", "removed", "modified", "reverted")
        if (count := getattr(report, name)) > 0
    ]
    if counts or report.state == "drifted":
        text = ", ".join(counts) or "its agent says so, and lists no items"
        yield Reason("drifted", text, "drifted" if comparable(report, context) else None)


def observed(report: DriftReport, context: Context) -> Iterator[Reason]:
    """The digest of what was seen against the trusted one: what holds when the manifest on the box was edited."""
    if report.state == "pending" or report.unreadable > 0 or not comparable(report, context):
        return
    expected = _expected_digest(report, context)
    if not expected or report.observed == expected:
        return
    if not report.observed:
        yield Reason("observed", "its agent sends no digest of what it saw", "unverified")
    elif semantics(report.observed) != semantics(expected):
        text = f"its digest has version {semantics(report.observed)}, its manifest {semantics(expected)}"
        yield Reason("semantics", f"{text}: bake with the agent's version", "unverified")
    elif not _lists_items(report):
        text = "what it saw does not add up to its image, though its agent lists no items"
        yield Reason("observed", text, "drifted" if context.trusted is not None else "unverified")


def state_reset(report: DriftReport, context: Context) -> Iterator[Reason]:
    """An agent's memory that was wiped or copied; a volatile state folder may seal anew after a boot."""
    trusted = (context.trusted or {}).get(report.image)
    for reset in report.resets:
        if trusted is not None and trusted.volatile_state and reset.new_boot and reset.kind != "seq":
            continue
        what = {
            "seq": f"report {reset.before.partition(' ')[0]} came twice, with different times",
            "start": "its first reports came twice, with different times",
            "latch": "it said that it was no longer clean, and forgot",
            "sealed": "it was sealed a second time",
            "seal": "its sealed digest changed",
        }[reset.kind]
        yield Reason("state-reset", f"its agent's memory was wiped or copied: {what}", "drifted")
        return


def taint(report: DriftReport, _: Context) -> Iterator[Reason]:
    """Somebody logged in."""
    if report.logins > 0 or report.state == "tainted":
        text = "somebody logged in" if report.logins <= 0 else f"{report.logins} login{'s' * (report.logins != 1)}"
        yield Reason("tainted", text, "tainted")


def trust(report: DriftReport, context: Context) -> Iterator[Reason]:
    """Whether the agent compared with a manifest at all, with the trusted one, by the trusted policy."""
    trusted = (context.trusted or {}).get(report.image)
    image = cut(report.image, 100) or "an image without a name"
    if context.trusted is not None and trusted is None:
        yield Reason("unknown-image", f"no trusted manifest of {image}", "unverified")
    elif trusted is not None and not trusted.usable:
        what = "has no signature" if trusted.signature == "missing" else "has a signature that does not fit"
        yield Reason("unsigned", f"the trusted manifest of {image} {what}", "unverified")
    elif not report.manifest:
        if report.state not in ("pending", "unverified"):  # those say already that nothing was compared
            yield Reason("manifest", "its agent does not say what it compared with", "unverified")
    elif trusted is None:
        return
    elif semantics(report.manifest) != semantics(trusted.digest):
        text = f"its manifest has version {semantics(report.manifest)}, the trusted one {semantics(trusted.digest)}"
        yield Reason("semantics", text, "unverified")
    elif report.manifest != trusted.digest:
        yield Reason("manifest", f"compared with another manifest than the trusted one of {image}", "unverified")
    elif report.policy != trusted.policy:
        yield Reason("policy", f"compared by another policy than the trusted one of {image}", "unverified")


def identity(report: DriftReport, _: Context) -> Iterator[Reason]:
    """A report that cannot be laid to anybody, or whose word is not of our vocabulary."""
    if not report.instance:
        yield Reason("no-instance", "a report that names no instance", "unverified")
    if report.state not in _AGENT_STATES:
        yield Reason("unknown-state", f"its agent says {report.state[:40]!r}, which is no state", "unverified")


def clock(report: DriftReport, context: Context) -> Iterator[Reason]:
    """A report from the future tells nothing about now."""
    ahead = report.time - context.now
    if ahead > max(0, min(report.interval, MOST_INTERVAL)) * SECOND and ahead > SECOND:
        yield Reason("clock", f"its report is {_duration(ahead)} in the future", "unverified")


def sequence(report: DriftReport, context: Context) -> Iterator[Reason]:
    """One report a second since 1970 is more than any agent sent: a forged number hides all that follow it."""
    if report.seq > context.now // SECOND:
        yield Reason("seq", "its report has a number that no agent comes to: it may hide others", "unverified")


def intervals(report: DriftReport, _: Context) -> Iterator[Reason]:
    """An agent does not choose for how long its word holds."""
    for name, seconds, most in (
        ("report", report.interval, MOST_INTERVAL),
        ("scan", report.scan_interval, MOST_SCAN_INTERVAL),
    ):
        if seconds > most:
            text = f"its {name} interval is {format_duration(seconds)}, and {format_duration(most)} is the longest"
            yield Reason("interval", text, "unverified")


def unreadable(report: DriftReport, _: Context) -> Iterator[Reason]:
    """What could not be read may be anything."""
    if report.unreadable > 0:
        noun = "item" if report.unreadable == 1 else "items"
        yield Reason("unreadable", f"{report.unreadable} {noun} could not be read", "unverified")
    elif report.state == "unverified":
        yield Reason("agent", "its agent cannot verify it", "unverified")


def scan(report: DriftReport, _: Context) -> Iterator[Reason]:
    """The last complete scan must be recent at the report's own time."""
    if report.state == "pending":
        which = "the scan that must confirm what was put right" if report.scan_at > 0 else "its first scan since boot"
        yield Reason("pending", f"{which} is not complete", "unverified")
    elif report.scan_at <= 0:
        yield Reason("no-scan", "no scan was complete since its boot", "unverified")
    elif (age := report.time - report.scan_at) > 2 * report.scan_interval * SECOND:
        text = f"its last complete scan was {_duration(age)} before its report"
        yield Reason("scan-old", f"{text}, and is due every {_duration(report.scan_interval * SECOND)}", "unverified")
    elif -age > LEAST_FRESHNESS:
        yield Reason("clock", f"its clock stepped back by {_duration(-age)} since its last scan", "unverified")


def stale(report: DriftReport, context: Context) -> Iterator[Reason]:
    """No fresh report; an agent that says that it was stopped is believed at once."""
    age = context.now - report.time
    if report.state == "stopped":
        yield Reason("stopped", f"its agent was stopped {_duration(age)} ago", "stale")
    elif age > freshness(report):
        text = f"no report for {_duration(age)}"
        yield Reason("stale", f"{text}, and one is due every {_duration(report.interval * SECOND)}", "stale")


def notes(report: DriftReport, _: Context) -> Iterator[Reason]:
    """What an operator wants to know and what changes no state."""
    if report.degraded:
        yield Reason("degraded", "watching fell back to scanning alone")
    if abs(report.clock_offset) > 60:
        side = "behind" if report.clock_offset > 0 else "ahead"
        yield Reason("clock-offset", f"its clock is {format_duration(min(abs(report.clock_offset), 1e12))} {side}")


RULES: Final[tuple[Rule, ...]] = (
    drift, observed, state_reset, taint, identity, trust, clock, sequence, intervals, unreadable, scan, stale, notes,
)  # fmt: skip


def semantics(digest: str) -> str:
    """The semantics version of a digest of the form `VERSION:sha256:HEX`; `unknown` where it has none."""
    version, separator, _ = digest.partition(":")
    return version[:20] if separator and version else "unknown"


def _expected_digest(report: DriftReport, context: Context) -> str:
    if context.trusted is None:
        return report.manifest
    return context.trusted[report.image].digest


def _lists_items(report: DriftReport) -> bool:
    return report.state == "drifted" or max(report.added, report.removed, report.modified, report.reverted) > 0


def _duration(nanoseconds: int) -> str:
    return format_duration(nanoseconds // SECOND)
