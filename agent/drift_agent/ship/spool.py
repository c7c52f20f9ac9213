"""Where every point waits until each of its outputs has acknowledged it: on disk, bounded, first things first."""

import os
import sqlite3
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from threading import Lock
from typing import Self

from drift_agent.clock import Clock
from drift_agent.config import OutputOptions, SpoolOptions
from drift_agent.model import LANES, Lane
from drift_agent.ship import rows
from drift_agent.ship.batch import MAX_BATCH_BYTES, Batch, into_batches
from drift_agent.ship.database import Database
from drift_agent.ship.ring import Ring
from drift_agent.ship.spool_file import SpoolFile


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits of one lane: points, bytes of their lines, time of the oldest point (ns; 0 where nothing waits)."""

    points: int = 0
    bytes: int = 0
    oldest: int = 0


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """The spool at one moment. `outputs` is by label; `dropped` counts points since the start, by label."""

    lanes: Mapping[Lane, Waiting]
    outputs: Mapping[str, Mapping[Lane, Waiting]]
    dropped: Mapping[str, int]
    max_bytes: int
    writable: bool
    damaged: tuple[str, ...]
    """New names of files that were damaged and set aside since the start."""


class Spool:
    """The spool of one agent. Safe for several threads.

    Lines and the log offsets that they came from are stored in one transaction. The cap counts the pages that are in
    use: what must go for newer lines is the oldest of the lowest lane, counted for each output that was still owed it.
    While the file cannot be written a bounded ring in memory takes its place, and puts with offsets are refused.
    """

    def __init__(self, path: str, options: SpoolOptions, outputs: Sequence[OutputOptions], clock: Clock) -> None:
        self.path = path
        self._options = options
        self._outputs = {output.label: output.lanes for output in outputs}
        self._clock = clock
        self._lock = Lock()
        self._file = SpoolFile(path, options.max_bytes, clock, self._on_open)
        self._output_ids: dict[str, int] = {}
        self._ring = Ring()
        self._dropped = dict.fromkeys(self._outputs, 0)
        self._last_id = 0

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], options: SpoolOptions, outputs: Sequence[OutputOptions], clock: Clock
    ) -> Self:
        """Opens or makes the file. One that cannot be written now is tried again at each put.

        A damaged file is set aside under a new name and reported, never deleted. What waited for an output that is no
        longer configured goes to the outputs that are new; where there are none it is given up, and a line says so.

        Raises:
            InputError: the file was written by a newer version.
        """
        spool = cls(os.fspath(path), options, outputs, clock)
        with spool._lock:
            spool._file.use(lambda database: database.number("PRAGMA user_version"))
        return spool

    def put(self, lines_by_lane: Mapping[Lane, Sequence[str]], *, offsets: Mapping[str, bytes] | None = None) -> bool:
        """Takes lines (no newlines in them), in one transaction with `offsets` (an empty value forgets its key).

        False: nothing was taken, for the file cannot be written and lines with offsets have a file of their own to
        wait in; put them again later. Lines of a lane that no output takes are not kept.
        """
        now = self._clock.time_ns()
        limit = min(MAX_BATCH_BYTES, self._options.max_bytes // 16)
        batches = [
            batch
            for lane in LANES
            if lines_by_lane.get(lane) and self._owed(lane)
            for batch in into_batches(lane, lines_by_lane[lane], now, limit)
        ]
        with self._lock:
            stored = self._file.may_try() and self._flush_memory() and self._store(batches, offsets or {})
            if not stored and not offsets:
                for batch in batches:
                    self._keep_in_memory(batch)
                return True
            return stored

    def take(self, output: str, lane: Lane, max_lines: int, max_bytes: int, skip: Container[int] = ()) -> list[Batch]:
        """The newest batches of `lane` that `output` is still owed, newest first, but for the ids in `skip`.

        At least one where there is one, else as many as fit into both limits.
        """

        def waiting(database: Database) -> list[Batch]:
            with rows.newest_first(database, self._output_ids[output], lane) as stored:
                return _as_fit(chain(self._ring.newest_first(output, lane), stored), max_lines, max_bytes, skip)

        with self._lock:
            found = self._file.use(waiting)
            if found is None:
                return _as_fit(self._ring.newest_first(output, lane), max_lines, max_bytes, skip)
            return found

    def ack(self, output: str, batches: Sequence[Batch]) -> None:
        """`output` has these, or has condemned them: it is owed them no longer."""
        if not batches:
            return
        with self._lock:
            for batch in batches:
                self._ring.ack(output, batch.id)
            stored = [batch for batch in batches if batch.id > 0]
            self._file.use(lambda database: rows.note_acks(database, self._output_ids[output], stored))
            self._file.use(_settle_acks)  # that a row can go does not say that one can come
            self._file.shrink()

    def offsets(self) -> dict[str, bytes]:
        """All log offsets as they were put last."""
        with self._lock:
            return self._file.use(rows.offsets) or {}

    @property
    def writable(self) -> bool:
        """False while the file cannot be written: log tailing pauses until it can."""
        return not self._file.problem

    def stats(self) -> SpoolStats:
        """What waits, by lane and by output."""
        with self._lock:
            lanes, by_output = self._file.use(self._count) or ({}, {})
            for batch, owed in self._ring.all():
                lanes[batch.lane] = _with(lanes.get(batch.lane), batch)
                for label in owed:
                    waiting = by_output.setdefault(label, {})
                    waiting[batch.lane] = _with(waiting.get(batch.lane), batch)
            return SpoolStats(
                {lane: lanes.get(lane, Waiting()) for lane in LANES},
                {label: by_output.get(label, {}) for label in self._outputs},
                dict(self._dropped),
                self._options.max_bytes,
                self.writable,
                tuple(self._file.damaged),
            )

    def close(self) -> None:
        """Closes the file; what waits in memory is stored if it can be."""
        with self._lock:
            self._flush_memory()
            self._file.close()

    # ------------------------------------------------------------------------------------------ held under the lock

    def _on_open(self, database: Database) -> None:
        with database.transaction() as run:
            self._output_ids = rows.settle_outputs(run, self._outputs)
        self._last_id = max(self._last_id, rows.last_id(database))

    def _owed(self, lane: Lane) -> list[str]:
        return [label for label, lanes in self._outputs.items() if lane in lanes]

    def _store(self, batches: Sequence[Batch], offsets: Mapping[str, bytes]) -> bool:
        """In one transaction, or several where the cap is so small that one would burst it; offsets in the last."""
        groups: list[list[Batch]] = [[]]
        size = 0
        for batch in batches:
            if groups[-1] and size + len(batch.body) > self._options.max_bytes // 16:
                groups.append([])
                size = 0
            groups[-1].append(batch)
            size += len(batch.body)
        return all(
            self._store_group(group, offsets if group is groups[-1] else {}) for group in groups if group or offsets
        )

    def _insert(self, run: sqlite3.Connection, batch: Batch, owed: Iterable[str]) -> None:
        self._last_id += 1
        rows.insert(run, replace(batch, id=self._last_id), [self._output_ids[label] for label in owed])

    def _store_group(self, batches: Sequence[Batch], offsets: Mapping[str, bytes]) -> bool:
        def work(database: Database) -> list[tuple[int, int]]:
            with database.transaction() as run:
                for batch in batches:
                    self._insert(run, batch, self._owed(batch.lane))
                rows.put_offsets(run, offsets)
                made_before = self._clock.time_ns() - round(self._options.max_age * 1e9)
                return rows.enforce(
                    database,
                    run,
                    self._output_ids.values(),
                    max_bytes=self._options.max_bytes,
                    made_before=made_before,
                )

        dropped = self._file.write(work)
        if dropped is None:
            return False
        labels = {id_: label for label, id_ in self._output_ids.items()}
        for output, points in dropped:
            self._dropped[labels[output]] += points
        return True

    def _keep_in_memory(self, batch: Batch) -> None:
        for gone, owed in self._ring.put(batch, self._owed(batch.lane)):
            for label in owed:
                self._dropped[label] += gone.lines

    def _flush_memory(self) -> bool:
        """Stores what waits in memory, once the file can be written again: each batch is wholly here or there."""
        for batch, owed in self._ring.all():

            def work(database: Database, batch: Batch = batch, owed: set[str] = owed) -> bool:
                with database.transaction() as run:
                    self._insert(run, batch, owed)
                return True

            if not self._file.write(work):
                return False
            self._ring.forget(batch.id)
        return True

    def _count(self, database: Database) -> tuple[dict[Lane, Waiting], dict[str, dict[Lane, Waiting]]]:
        lanes = {lane: Waiting(*numbers) for lane, numbers in rows.count(database).items()}
        by_output = {
            label: {lane: Waiting(*numbers) for lane, numbers in rows.count_owed(database, id_).items()}
            for label, id_ in self._output_ids.items()
        }
        return lanes, by_output


def _as_fit(batches: Iterable[Batch], max_lines: int, max_bytes: int, skip: Container[int]) -> list[Batch]:
    """The first of the batches but for the ids in `skip`: as many as fit into both limits, and at least one."""
    found: list[Batch] = []
    lines = size = 0
    for batch in batches:
        if batch.id in skip:
            continue
        lines, size = lines + batch.lines, size + len(batch.body)
        if found and (lines > max_lines or size > max_bytes):
            break
        found.append(batch)
    return found


def _settle_acks(database: Database) -> bool:
    with database.transaction() as run:
        rows.settle_acks(run)
    return True


def _with(waiting: Waiting | None, batch: Batch) -> Waiting:
    before = waiting or Waiting(oldest=batch.oldest)
    return Waiting(before.points + batch.lines, before.bytes + len(batch.body), min(before.oldest, batch.oldest))
