"""Signs of a wiped memory in InfluxDB: whose history must be read, and what it says.

Reading every instance's history would cost a scan of the whole retention. Two things are cheap: the first seal (`first`
stops at the first point), which differs from the newest one wherever there was a second, and whether an instance that
says that it is clean ever listed items since its seal, which few did. Only of those more is read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from drift_collector.store.base import DriftReport, Reset, Stamp
from drift_collector.store.influxql import InfluxQL, Row, literal, named
from drift_collector.store.resets import Latch, SealSeen, Twice, resets_of

MAX_HISTORIES: Final = 200
"""Histories that are read at a time; of further suspects, only the first seal and the newest are compared."""

_CLOCK_STEP_NS: Final = 86_400 * 10**9
"""A clock may step back by so much after a seal."""


def with_resets(
    influxql: InfluxQL, found: Mapping[str, DriftReport], suspects: Iterable[str], span: tuple[int, int]
) -> Iterator[DriftReport]:
    """The reports, with the signs that `influxql` holds within `span` (Unix ns, both ends included).

    `suspects` are the instances whose history must be read whatever their first seal was.
    """
    where = f"time >= {span[0]} AND time <= {span[1]}"
    firsts = _firsts(influxql, where, found)
    latches = _latches(influxql, where, found)
    histories = dict.fromkeys(suspects)
    for instance, report in found.items():
        first = firsts.get(instance)
        # One that is not sealed, and was: its memory is another.
        if first is not None and (first.sealed, first.seal) != (report.sealed, report.seal):
            histories[instance] = None
    signs = {
        instance: _history(influxql, instance, where, latches.get(instance, ()))
        for instance in list(histories)[:MAX_HISTORIES]
    }
    for instance, report in found.items():
        resets = signs.get(instance)
        if resets is None:
            seals = [firsts[instance], _seal_of(report)] if instance in histories and instance in firsts else []
            resets = resets_of(seals, latches=latches.get(instance, ()))
        yield replace(report, resets=resets) if resets else report


def looks_repeated(report: Stamp, known: Stamp) -> bool:
    """Whether two reports of one instance may show a second seal, or a sequence that was set back."""
    if report.sealed != known.sealed:
        return report.sealed > 0 and known.sealed > 0
    return report.seal != known.seal or (report.seq - known.seq) * (report.time - known.time) <= 0


def _firsts(influxql: InfluxQL, where: str, found: Mapping[str, DriftReport]) -> dict[str, SealSeen]:
    """The first seal of each instance."""
    query = f'SELECT first("sealed") AS "sealed", "seal", "boot_id" FROM "drift" WHERE {where} AND "sealed" > 0'
    return {
        row["instance"]: _seen(row)
        for which in named(found)
        for row in influxql.rows(f'{query}{which} GROUP BY "instance"')
    }


def _latches(influxql: InfluxQL, where: str, found: Mapping[str, DriftReport]) -> dict[str, list[Latch]]:
    """Of those that say that they are clean, the last that they said before and that was not so, under the same seal.

    A report that was not clean had items, but for the notes on the image's own faults (`identity`).
    """
    clean = {name: report for name, report in found.items() if report.state == "clean" and report.sealed > 0}
    query = f'SELECT last("report") AS "report" FROM "drift_item" WHERE {where} AND "kind" != \'identity\''
    listed = [
        row["instance"]
        for which in named(clean)
        for row in influxql.rows(f'{query}{which} GROUP BY "instance"')
        if row["instance"] in clean and row["time"] >= clean[row["instance"]].sealed - _CLOCK_STEP_NS
    ]
    latches: dict[str, list[Latch]] = {}
    query = (
        f'SELECT last("seq") AS "seq", "sealed" FROM "drift" WHERE {where} AND "sealed" > 0'
        " AND (\"state\" = 'drifted' OR \"state\" = 'tainted')"
    )
    for which in named(listed):
        for row in influxql.rows(f'{query}{which} GROUP BY "instance"'):
            report, seq = clean[row["instance"]], row.get("seq")
            if row.get("sealed") == report.sealed and type(seq) is int:
                latches[report.instance] = [Latch(seq, report.seq, report.time)]
    return latches


def _history(influxql: InfluxQL, instance: str, where: str, latches: Iterable[Latch]) -> tuple[Reset, ...]:
    seals: dict[tuple[int, str, str], SealSeen] = {}
    times: dict[tuple[int, int], SealSeen] = {}
    twice: dict[tuple[int, int], Twice] = {}
    query = f'SELECT "sealed", "seal", "boot_id", "seq" FROM "drift" WHERE {where} AND "instance" = {literal(instance)}'
    for row in influxql.rows(query):
        seen = _seen(row)
        seals.setdefault((seen.sealed, seen.seal, seen.boot_id), seen)
        seq = row.get("seq")
        if type(seq) is not int:
            continue
        key = (seen.sealed, seq)
        before = times.setdefault(key, seen)
        if before.first != seen.first and (key not in twice or twice[key].new_boot):
            new_boot = seen.sealed <= 0 and before.boot_id != seen.boot_id
            twice[key] = Twice(seen.sealed, seq, before.first, seen.first, new_boot)
    return resets_of(seals.values(), twice.values(), latches)


def _seal_of(report: DriftReport) -> SealSeen:
    return SealSeen(report.sealed, report.seal, report.boot_id, report.time)


def _seen(row: Row) -> SealSeen:
    sealed, seal, boot_id = row.get("sealed"), row.get("seal"), row.get("boot_id")
    return SealSeen(
        sealed if type(sealed) is int else 0,
        seal if isinstance(seal, str) else "",
        boot_id if isinstance(boot_id, str) else "",
        row["time"],
    )
