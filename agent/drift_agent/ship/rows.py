"""The SQL of the spool: each function one act on its tables, within the caller's transaction."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from drift_agent.model import LANES, Lane
from drift_agent.ship.batch import Batch
from drift_agent.ship.database import LOG, Database

_NUMBERS: Final[dict[Lane, int]] = {lane: number for number, lane in enumerate(LANES)}


def insert(run: sqlite3.Connection, batch: Batch, outputs: Sequence[int]) -> None:
    """One batch, owed to `outputs` (at least one)."""
    if not outputs:
        return
    lane = _NUMBERS[batch.lane]
    run.execute(
        "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?)",
        (lane, batch.id, batch.lines, len(batch.body), batch.made, batch.oldest, batch.newest),
    )
    run.execute("INSERT INTO body VALUES (?, ?)", (batch.id, batch.body))
    run.executemany("INSERT INTO owed VALUES (?, ?, ?)", [(output, lane, batch.id) for output in outputs])


@contextmanager
def newest_first(database: Database, output: int, lane: Lane) -> Iterator[Iterator[Batch]]:
    """What `output` is still owed of `lane`, read as it is asked for."""
    sql = """
        SELECT batch.id, batch.lines, made, oldest, newest, body.lines
        FROM owing CROSS JOIN batch ON batch.lane = owing.lane AND batch.id = owing.batch
        CROSS JOIN body ON body.id = batch.id
        WHERE owing.output = ? AND owing.lane = ? ORDER BY owing.batch DESC
    """
    with database.cursor(sql, (output, _NUMBERS[lane])) as cursor:
        yield (Batch(id_, lane, lines, made, oldest, newest, body)
               for id_, lines, made, oldest, newest, body in cursor)  # fmt: skip


def note_acks(database: Database, output: int, batches: Sequence[Batch]) -> bool:
    """`output` is owed these no longer; works on a full disk too."""
    keys = [(output, _NUMBERS[batch.lane], batch.id) for batch in batches]
    database.many("INSERT OR IGNORE INTO acked VALUES (?, ?, ?)", keys)
    return True


def settle_acks(run: sqlite3.Connection) -> None:
    """Deletes what was noted, and what nobody is owed any more."""
    acked = run.execute("SELECT output, lane, batch FROM acked").fetchall()
    run.executemany("DELETE FROM owed WHERE output = ? AND lane = ? AND batch = ?", acked)
    for _, lane, batch in acked:
        delete_unowed(run, lane, batch)
    run.execute("DELETE FROM acked")


def delete_unowed(run: sqlite3.Connection, lane: int, id_: int) -> None:
    """Deletes one batch if nobody is owed it."""
    owed = run.execute(
        "SELECT 1 FROM output CROSS JOIN owed ON owed.output = output.id WHERE owed.lane = ? AND owed.batch = ?",
        (lane, id_),
    )
    if owed.fetchone() is None:
        run.execute("DELETE FROM batch WHERE lane = ? AND id = ?", (lane, id_))
        run.execute("DELETE FROM body WHERE id = ?", (id_,))


def enforce(
    database: Database, run: sqlite3.Connection, outputs: Collection[int], *, max_bytes: int, made_before: int
) -> list[tuple[int, int]]:
    """Drops what was made before a time (Unix ns), then the oldest of the lowest lane until the used pages fit.

    Returns (output, points) of what was dropped, for each of `outputs` that was still owed it.
    """
    dropped: list[tuple[int, int]] = []
    for lane in reversed(_NUMBERS.values()):
        while (oldest := _oldest(run, lane)) is not None and oldest[2] < made_before:
            dropped += _drop(run, lane, oldest[0], oldest[1], outputs)
        while database.used_bytes() > max_bytes and (oldest := _oldest(run, lane)) is not None:
            dropped += _drop(run, lane, oldest[0], oldest[1], outputs)
    return dropped


def _oldest(run: sqlite3.Connection, lane: int) -> tuple[int, int, int] | None:
    row: tuple[int, int, int] | None = run.execute(
        "SELECT id, lines, made FROM batch WHERE lane = ? ORDER BY id LIMIT 1", (lane,)
    ).fetchone()
    return row


def _drop(run: sqlite3.Connection, lane: int, id_: int, points: int, outputs: Collection[int]) -> list[tuple[int, int]]:
    dropped = []
    for output in outputs:
        owed = run.execute("DELETE FROM owed WHERE output = ? AND lane = ? AND batch = ?", (output, lane, id_))
        if owed.rowcount:
            dropped.append((output, points))
    delete_unowed(run, lane, id_)
    return dropped


def put_offsets(run: sqlite3.Connection, offsets: Mapping[str, bytes]) -> None:
    """Sets each key; an empty value forgets it."""
    for key, value in offsets.items():
        if value:
            run.execute(
                "INSERT INTO place VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
            )
        else:
            run.execute("DELETE FROM place WHERE key = ?", (key,))


def offsets(database: Database) -> dict[str, bytes]:
    """All offsets."""
    with database.cursor("SELECT key, value FROM place", ()) as cursor:
        return {str(key): bytes(value) for key, value in cursor}


def last_id(database: Database) -> int:
    """The highest id in use, 0 where there is none."""
    return database.number("SELECT max(id) FROM body")


def count(database: Database) -> dict[Lane, tuple[int, int, int]]:
    """By lane: points, bytes, time of the oldest point."""
    sql = "SELECT lane, sum(lines), sum(bytes), min(oldest) FROM batch GROUP BY lane"
    if database.number("SELECT count(*) FROM acked"):
        sql = """
            SELECT lane, sum(lines), sum(bytes), min(oldest) FROM batch WHERE EXISTS (
                SELECT 1 FROM output CROSS JOIN owing ON owing.output = output.id
                WHERE owing.lane = batch.lane AND owing.batch = batch.id)
            GROUP BY lane
        """
    return {LANES[lane]: (points, size, oldest) for lane, points, size, oldest in database.rows(sql)}


def count_owed(database: Database, output: int) -> dict[Lane, tuple[int, int, int]]:
    """The same of what one output is still owed."""
    sql = """
        SELECT owing.lane, sum(lines), sum(bytes), min(oldest) FROM owing
        CROSS JOIN batch ON batch.lane = owing.lane AND batch.id = owing.batch WHERE output = ? GROUP BY owing.lane
    """
    return {LANES[lane]: (points, size, oldest) for lane, points, size, oldest in database.rows(sql, (output,))}


def settle_outputs(run: sqlite3.Connection, wanted: Mapping[str, Collection[Lane]]) -> dict[str, int]:
    """Makes the table of outputs what is configured; the ids by label.

    An output may have been renamed, or its server moved: what waited for those that are gone goes to those that are
    new, as far as they take its lane. What nobody takes then is deleted. Where no output is configured at all,
    everything waits for one that is.
    """
    if not wanted:
        return {}
    known = {str(label): int(id_) for label, id_ in run.execute("SELECT label, id FROM output").fetchall()}
    new = [label for label in wanted if label not in known]
    for label in new:
        run.execute("INSERT INTO output (label) VALUES (?)", (label,))
    ids = {str(label): int(id_) for label, id_ in run.execute("SELECT label, id FROM output").fetchall()}
    for label, id_ in known.items():
        if label in wanted:
            _give_up(run, id_, [lane for lane in LANES if lane not in wanted[label]])
            continue
        for heir in new:
            _hand_over(run, id_, ids[heir], wanted[heir])
        run.execute("DELETE FROM output WHERE id = ?", (id_,))
        if _give_up(run, id_, LANES) and not new:
            LOG.warning("output %s is no longer configured: what waited for it was given up", label)
    return {label: ids[label] for label in wanted}


def _give_up(run: sqlite3.Connection, output: int, lanes: Collection[Lane]) -> int:
    """`output` is owed nothing of these lanes any more; returns how many batches it was."""
    count = 0
    for number in (_NUMBERS[lane] for lane in lanes):
        left = run.execute("SELECT batch FROM owed WHERE output = ? AND lane = ?", (output, number)).fetchall()
        run.execute("DELETE FROM owed WHERE output = ? AND lane = ?", (output, number))
        for (batch,) in left:
            delete_unowed(run, number, batch)
        count += len(left)
    return count


def _hand_over(run: sqlite3.Connection, old: int, new: int, lanes: Collection[Lane]) -> None:
    for lane in lanes:
        run.execute(
            "INSERT OR IGNORE INTO owed SELECT ?, lane, batch FROM owed WHERE output = ? AND lane = ?",
            (new, old, _NUMBERS[lane]),
        )
