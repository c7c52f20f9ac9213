"""From reports to verdicts. Pure: no clock, no store, no order of its input matters."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from drift_collector.fleet.model import NOT_FRESH, STATES, Coverage, Fleet, Reason, Trusted, Verdict, VerdictState
from drift_collector.fleet.rules import RULES, Context
from drift_collector.store.base import DriftReport

_RANK: Final[Mapping[VerdictState, int]] = {state: rank for rank, state in enumerate(STATES)}
_NUMBER: Final = re.compile(r"[0-9]+")
_SILENT: Final = Reason("silent", "in the inventory, and never reported", "silent")
_UNEXPECTED: Final = Reason("unexpected", "not in the inventory")


def judge(
    reports: Iterable[DriftReport],
    now: int,
    trusted: Mapping[str, Trusted] | None = None,
    expected: Collection[str] | int | None = None,
) -> Fleet:
    """The verdict of every instance, worst first, then by group, image, host and instance.

    Args:
        reports: any number of reports of each instance, in any order; the newest of each counts.
        now: Unix ns.
        trusted: what the trusted manifests say, by image; None where the agents' own word counts.
        expected: the instances that should exist, or how many; None where nobody says.

    An instance whose newest report says `terminated` is gone: it is counted, and has no verdict, unless it is
    expected by name.
    """
    context = Context(now, trusted)
    wanted = frozenset() if expected is None or isinstance(expected, int) else frozenset(expected)
    verdicts: list[Verdict] = []
    seen: set[str] = set()
    terminated = 0
    for report in newest_of_each(reports):
        if report.state == "terminated" and report.instance not in wanted:
            terminated += 1
            continue
        seen.add(report.instance)
        verdicts.append(_verdict(report, context, unexpected=bool(wanted) and report.instance not in wanted))
    verdicts += [Verdict(instance, "silent", reasons=(_SILENT,)) for instance in wanted - seen]
    verdicts.sort(key=_order)
    return Fleet(
        verdicts=tuple(verdicts),
        coverage=_coverage(verdicts, expected, wanted),
        terminated=terminated,
        trusted_images=None if trusted is None else len(trusted),
        signatures_checked=any(one.signature for one in (trusted or {}).values()),
    )


def newest_of_each(reports: Iterable[DriftReport]) -> list[DriftReport]:
    """The newest report of each instance: by `seq` among those of one seal, then the latest of the seals' newest.

    In two steps because "by `seq` where `sealed` is equal, else by time" is no order over three reports.
    """
    by_seal: dict[tuple[str, int], DriftReport] = {}
    for report in reports:
        key = (report.instance, report.sealed)
        known = by_seal.get(key)
        if known is None or _is_newer(report, known):
            by_seal[key] = report
    newest: dict[str, DriftReport] = {}
    for report in by_seal.values():
        known = newest.get(report.instance)
        if known is None or (report.time, report.sealed) > (known.time, known.sealed):
            newest[report.instance] = report
    return list(newest.values())


def lead(reasons: Iterable[Reason]) -> VerdictState:
    """The state that leads among reasons that add up; `clean` where none speaks for anything else."""
    return min((reason.state for reason in reasons if reason.state), key=_RANK.__getitem__, default="clean")


def _is_newer(report: DriftReport, known: DriftReport) -> bool:
    if (report.seq, report.time) != (known.seq, known.time):
        return (report.seq, report.time) > (known.seq, known.time)
    # Two points at once: copied machines. Which one counts is all the same, but not a matter of who came first.
    return repr(report) > repr(known)


def _verdict(report: DriftReport, context: Context, *, unexpected: bool) -> Verdict:
    reasons = tuple(reason for rule in RULES for reason in rule(report, context))
    if report.state == "terminated":
        reasons += (Reason("terminated", "its machine said that it ends, and the inventory has it", "stale"),)
    if unexpected:
        reasons += (_UNEXPECTED,)
    state = lead(reasons)
    return Verdict(
        instance=report.instance,
        state=state,
        host=report.host,
        image=report.image,
        group=report.group,
        reasons=reasons,
        added=max(0, report.added),
        removed=max(0, report.removed),
        modified=max(0, report.modified),
        reverted=max(0, report.reverted),
        logins=max(0, report.logins),
        since=report.since if report.since > 0 else None,
        last_seen=report.time,
        evidence=None if state == "clean" else report,
    )


def _coverage(verdicts: Iterable[Verdict], expected: Collection[str] | int | None, wanted: frozenset[str]) -> Coverage:
    known = [verdict for verdict in verdicts if not wanted or verdict.instance in wanted]
    fresh = sum(not any(reason.code in NOT_FRESH for reason in verdict.reasons) for verdict in known)
    return Coverage(expected if isinstance(expected, int) else len(known), fresh)


def _order(verdict: Verdict) -> tuple[int, str, str, str, str]:
    host = _NUMBER.sub(lambda match: match.group().zfill(12), verdict.host)  # web-9 before web-10
    return _RANK[verdict.state], verdict.group, verdict.image, host, verdict.instance
