"""Where every point waits until each of its outputs has acknowledged it: on disk, bounded, first things first."""

import logging
import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from threading import Lock
from typing import Final, Self, TypeVar

from drift_agent.clock import Clock
from drift_agent.config import OutputOptions, SpoolOptions
from drift_agent.model import LANES, Lane
from drift_agent.ship import rows
from drift_agent.ship.batch import MAX_BATCH_BYTES, Batch, cut
from drift_agent.ship.database import DamagedError, Database, UnwritableError, set_aside, translated
from drift_agent.ship.ring import Ring

LOG: Final = logging.getLogger("driftline.ship")

T = TypeVar("T")
_TRY_AGAIN_SECONDS: Final = 1.0
_SHRINK_SECONDS: Final = 60.0
"""How often the file is shrunk at most: one that fills and empties at each flush is not rewritten each time."""


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


@dataclass(slots=True)
class _Memory:
    """What is known only while we run."""

    ring: Ring = field(default_factory=Ring)
    dropped: dict[str, int] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    next_id: int = 0
    offsets: dict[str, bytes] = field(default_factory=dict)


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
        self._database: Database | None = None
        self._output_ids: dict[str, int] = {}
        self._problem = ""
        self._failed_at = 0.0
        self._closed = False
        self._shrunk_at = -_SHRINK_SECONDS
        self._memory = _Memory(next_id=clock.time_ns())

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
            spool._read(lambda database: database.number("PRAGMA user_version"))
        return spool

    def put(self, lines_by_lane: Mapping[Lane, Sequence[str]], *, offsets: Mapping[str, bytes] | None = None) -> bool:
        """Takes lines (no newlines in them), in one transaction with `offsets` (an empty value forgets its key).

        False: nothing was taken, for the file cannot be written and lines with offsets have a file of their own to
        wait in; put them again later. Lines of a lane that no output takes are not kept.
        """
        now = self._clock.time_ns()
        limit = min(MAX_BATCH_BYTES, self._options.max_bytes // 16)
        batches = [
            replace(batch, id=self._new_id())
            for lane in LANES
            if lines_by_lane.get(lane) and self._owed(lane)
            for batch in cut(lane, lines_by_lane[lane], now, limit)
        ]
        with self._lock:
            stored = self._may_try() and self._flush_memory() and self._store(batches, offsets or {})
            if not stored and not offsets:
                for batch in batches:
                    self._keep_in_memory(batch)
                return True
            return stored

    def take(self, output: str, lane: Lane, max_lines: int, max_bytes: int, skip: Container[int] = ()) -> list[Batch]:
        """The newest batches of `lane` that `output` is still owed, newest first, but for the ids in `skip`.

        At least one where there is one, else as many as fit into both limits.
        """
        with self._lock:
            found: list[Batch] = []
            lines = size = 0

            def fits(batch: Batch) -> bool:
                nonlocal lines, size
                lines, size = lines + batch.lines, size + len(batch.body)
                return not found or (lines <= max_lines and size <= max_bytes)

            def collect(candidates: Iterable[Batch]) -> None:
                for batch in candidates:
                    if batch.id in skip:
                        continue
                    if not fits(batch):
                        return
                    found.append(batch)

            def read(database: Database) -> bool:
                with rows.newest_first(database, self._output_ids[output], lane) as stored:
                    collect(chain(self._memory.ring.newest_first(output, lane), stored))
                return True

            if not self._read(read):
                found, lines, size = [], 0, 0
                collect(self._memory.ring.newest_first(output, lane))
            return found

    def ack(self, output: str, batches: Sequence[Batch]) -> None:
        """`output` has these, or has condemned them: it is owed them no longer."""
        if not batches:
            return
        with self._lock:
            for batch in batches:
                self._memory.ring.ack(output, batch.id)
            self._read(lambda database: rows.note_acks(database, self._output_ids[output], batches))
            self._write(_settle_acks)
            if self._clock.monotonic() - self._shrunk_at >= _SHRINK_SECONDS:
                self._write(self._shrink)

    def offsets(self) -> dict[str, bytes]:
        """All log offsets as they were put last."""
        with self._lock:
            return self._read(rows.offsets) or {}

    def has(self, output: str, lane: Lane) -> bool:
        """Whether anything of `lane` waits for `output`."""
        return bool(self.take(output, lane, 1, 1))

    @property
    def writable(self) -> bool:
        """False while the file cannot be written: log tailing pauses until it can."""
        return not self._problem

    def stats(self) -> SpoolStats:
        """What waits, by lane and by output."""
        with self._lock:
            memory = self._memory
            lanes, by_output = self._read(self._count) or ({}, {})
            for batch, owed in memory.ring.all():
                lanes[batch.lane] = _with(lanes.get(batch.lane), batch)
                for label in owed:
                    waiting = by_output.setdefault(label, {})
                    waiting[batch.lane] = _with(waiting.get(batch.lane), batch)
            return SpoolStats(
                {lane: lanes.get(lane, Waiting()) for lane in LANES},
                {label: by_output.get(label, {}) for label in self._outputs},
                {label: memory.dropped.get(label, 0) for label in self._outputs},
                self._options.max_bytes,
                self.writable,
                tuple(memory.damaged),
            )

    def close(self) -> None:
        """Closes the file; what waits in memory is stored if it can be."""
        with self._lock:
            self._flush_memory()
            self._closed = True
            if self._database is not None:
                self._database.close()
                self._database = None

    # ------------------------------------------------------------------------------------------ held under the lock

    def _new_id(self) -> int:
        with self._lock:
            self._memory.next_id += 1
            return self._memory.next_id

    def _owed(self, lane: Lane) -> list[str]:
        return [label for label, lanes in self._outputs.items() if lane in lanes]

    def _store(self, batches: Sequence[Batch], offsets: Mapping[str, bytes]) -> bool:
        """In one transaction, or several where the cap is so small that one would burst it; offsets in the last."""
        groups, size = [[]], 0  # type: list[list[Batch]], int
        for batch in batches:
            if groups[-1] and size + len(batch.body) > self._options.max_bytes // 16:
                groups.append([])
                size = 0
            groups[-1].append(batch)
            size += len(batch.body)
        return all(
            self._store_group(group, offsets if group is groups[-1] else {}) for group in groups if group or offsets
        )

    def _store_group(self, batches: Sequence[Batch], offsets: Mapping[str, bytes]) -> bool:
        def work(database: Database) -> list[tuple[int, int]]:
            with database.transaction() as run:
                for batch in batches:
                    rows.insert(run, batch, [self._output_ids[label] for label in self._owed(batch.lane)])
                rows.put_offsets(run, offsets)
                limits = (self._options.max_bytes, self._clock.time_ns() - round(self._options.max_age * 1e9))
                return rows.enforce(database, run, limits, list(self._output_ids.values()))

        dropped = self._write(work)
        if dropped is None:
            return False
        labels = {id_: label for label, id_ in self._output_ids.items()}
        for output, points in dropped:
            self._count_drop(labels[output], points)
        return True

    def _keep_in_memory(self, batch: Batch) -> None:
        for gone, owed in self._memory.ring.put(batch, self._owed(batch.lane)):
            for label in owed:
                self._count_drop(label, gone.lines)

    def _count_drop(self, label: str, points: int) -> None:
        self._memory.dropped[label] = self._memory.dropped.get(label, 0) + points

    def _may_try(self) -> bool:
        """Whether a file that could not be written is tried again already."""
        return not self._problem or abs(self._clock.monotonic() - self._failed_at) >= _TRY_AGAIN_SECONDS

    def _flush_memory(self) -> bool:
        """Stores what waits in memory, once the file can be written again: each batch is wholly here or there."""
        for batch, owed in self._memory.ring.all():

            def work(database: Database, batch: Batch = batch, owed: set[str] = owed) -> bool:
                with database.transaction() as run:
                    rows.insert(run, batch, [self._output_ids[label] for label in owed])
                return True

            if not self._write(work):
                return False
            self._memory.ring.forget(batch.id)
        return True

    def _shrink(self, database: Database) -> bool:
        if database.is_mostly_free():
            self._shrunk_at = self._clock.monotonic()
            database.shrink()
        return True

    def _count(self, database: Database) -> tuple[dict[Lane, Waiting], dict[str, dict[Lane, Waiting]]]:
        lanes = {lane: Waiting(*numbers) for lane, numbers in rows.count(database).items()}
        by_output = {
            label: {lane: Waiting(*numbers) for lane, numbers in rows.count_owed(database, id_).items()}
            for label, id_ in self._output_ids.items()
        }
        return lanes, by_output

    # ------------------------------------------------------------------------------------------ the file's faults

    def _write(self, work: Callable[[Database], T]) -> T | None:
        """`_read`; and when it worked, the file can be written."""
        result = self._read(work)
        if result is not None:
            self._note_problem("")
        return result

    def _read(self, work: Callable[[Database], T]) -> T | None:
        """What `work` returns; None while the file cannot be used. A damaged file is set aside, and work done anew."""
        if self._closed:
            return None
        for _ in range(2):
            try:
                with translated():
                    result = work(self._opened())
            except DamagedError as error:
                self._set_aside(error)
                continue
            except UnwritableError as error:
                self._note_problem(str(error))
                return None
            return result
        self._note_problem("it is damaged again as soon as it is made")
        return None

    def _opened(self) -> Database:
        if self._database is None:
            try:
                database = Database(self.path, self._options.max_bytes)
            except OSError as error:
                raise UnwritableError(error.strerror or str(error)) from error
            with database.transaction() as run:
                self._output_ids = rows.settle_outputs(run, self._outputs)
            self._memory.next_id = max(self._memory.next_id, rows.last_id(database))
            self._database = database
        return self._database

    def _set_aside(self, error: DamagedError) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        try:
            aside = set_aside(self.path, self._clock.time_ns())
        except OSError as failure:
            self._note_problem(f"it is damaged ({error}) and cannot be renamed: {failure.strerror}")
            return
        self._memory.damaged.append(aside)
        LOG.error("%s was damaged (%s): set aside as %s, and begun anew", self.path, error, aside)

    def _note_problem(self, problem: str) -> None:
        if problem and not self._problem:
            LOG.error("%s cannot be written: %s; log tailing pauses, the rest waits in memory", self.path, problem)
        elif self._problem and not problem:
            LOG.warning("%s can be written again", self.path)
        if problem:
            self._failed_at = self._clock.monotonic()
        self._problem = problem


def _settle_acks(database: Database) -> bool:
    with database.transaction() as run:
        rows.settle_acks(run)
    return True


def _with(waiting: Waiting | None, batch: Batch) -> Waiting:
    before = waiting or Waiting(oldest=batch.oldest)
    return Waiting(before.points + batch.lines, before.bytes + len(batch.body), min(before.oldest, batch.oldest))
