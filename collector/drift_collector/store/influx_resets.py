"""Signs of a wiped memory in InfluxDB: whose history must be read, and what it says.

Reading every instance's history would cost a scan of the whole retention. Its first seal is cheap (`first` stops at the
first point), and differs from the newest one wherever there was a second; only of those the history is read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from drift_collector.store.base import DriftReport, Reset, Stamp
from drift_collector.store.influxql import InfluxQL, Row, literal
from drift_collector.store.resets import SealSeen, Twice, resets_of

MAX_HISTORIES: Final = 200
"""Histories that are read at a time; of further suspects, only the first seal and the newest are compared."""


def with_resets(
    influxql: InfluxQL, found: Mapping[str, DriftReport], suspects: Iterable[str], span: tuple[int, int]
) -> Iterator[DriftReport]:
    """The reports, with the signs that `influxql` holds within `span` (Unix ns, both ends included).

    `suspects` are the instances whose history must be read whatever their first seal was.
    """
    where = f"time >= {span[0]} AND time <= {span[1]}"
    query = f'SELECT first("sealed") AS "sealed", "seal", "boot_id" FROM "drift" WHERE {where} AND "sealed" > 0'
    firsts = {row["instance"]: _seen(row) for row in influxql.rows(query + ' GROUP BY "instance"')}
    histories = dict.fromkeys(suspects)
    for instance, report in found.items():
        first = firsts.get(instance)
        if first is not None and report.sealed > 0 and (first.sealed, first.seal) != (report.sealed, report.seal):
            histories[instance] = None
    exact = list(histories)[:MAX_HISTORIES]
    signs = {instance: _history(influxql, instance, where) for instance in exact}
    for instance, report in found.items():
        resets = signs.get(instance)
        if resets is None and instance in histories and instance in firsts:
            newest = SealSeen(report.sealed, report.seal, report.boot_id, report.time)
            resets = resets_of([firsts[instance], newest])
        yield replace(report, resets=resets) if resets else report


def looks_repeated(report: Stamp, known: Stamp) -> bool:
    """Whether two reports of one instance may show a second seal, or a sequence that was set back."""
    if report.sealed != known.sealed:
        return report.sealed > 0 and known.sealed > 0
    return report.seal != known.seal or (report.seq - known.seq) * (report.time - known.time) <= 0


def _history(influxql: InfluxQL, instance: str, where: str) -> tuple[Reset, ...]:
    seals: dict[tuple[int, str, str], SealSeen] = {}
    times: dict[tuple[int, int], int] = {}
    twice: dict[tuple[int, int], Twice] = {}
    query = f'SELECT "sealed", "seal", "boot_id", "seq" FROM "drift" WHERE {where} AND "instance" = {literal(instance)}'
    for row in influxql.rows(query):
        seen = _seen(row)
        if seen.sealed <= 0:
            continue
        seals.setdefault((seen.sealed, seen.seal, seen.boot_id), seen)
        seq = row.get("seq")
        if type(seq) is int and times.setdefault((seen.sealed, seq), seen.first) != seen.first:
            twice[seen.sealed, seq] = Twice(seen.sealed, seq, times[seen.sealed, seq], seen.first)
    return resets_of(seals.values(), twice.values())


def _seen(row: Row) -> SealSeen:
    sealed, seal, boot_id = row.get("sealed"), row.get("seal"), row.get("boot_id")
    return SealSeen(
        sealed if type(sealed) is int else 0,
        seal if isinstance(seal, str) else "",
        boot_id if isinstance(boot_id, str) else "",
        row["time"],
    )
