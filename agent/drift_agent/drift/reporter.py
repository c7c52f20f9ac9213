"""When a `drift` point and its set of items leave, and with which stamps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from drift_agent.clock import Clock
from drift_agent.drift.bucket import TokenBucket
from drift_agent.drift.points import MAX_ITEMS, Summary, drift_point, item_points, stamp_of_set
from drift_agent.drift.state import Memory
from drift_agent.model import Change, Point

Emit = Callable[[Sequence[Point]], None]

TRANSIENT: Final = frozenset({"pending", "stopped", "terminated"})
"""States of one run of the agent: while it was away the machine's own state went on, and so does its `since`."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Points that are ready to leave, and the memory that must be on disk before they do."""

    points: list[Point]
    memory: Memory


class Reporter:
    """Decides when something must be said, and makes the points; what is sent and stored is the caller's.

    A change is said at once while the bucket of sets has a token. Otherwise it waits for one, and all changes until
    then leave in one set. Times of sets never go back, not even when the clock does.
    """

    def __init__(self, instance: str, report_interval: float, clock: Clock) -> None:
        self._instance = instance
        self._interval = report_interval
        self._clock = clock
        self._bucket = TokenBucket(clock.monotonic)
        self._set_due = False
        self._next_point = clock.monotonic()
        self._spoken = ("", 0)

    def changed(self) -> None:
        """The items, or the state, are no longer what was last said."""
        self._set_due = True

    def due_in(self) -> float:
        """Seconds until a statement should be made; 0.0: now."""
        regular = max(0.0, self._next_point - self._clock.monotonic())
        return min(regular, self._bucket.ready_in()) if self._set_due else regular

    def statement(self, summary: Summary, changes: Sequence[Change], memory: Memory, omitted: int = 0) -> Statement:
        """The points of this moment: with the set of items where one is due and may leave.

        `omitted` counts the items beyond `changes`, of which there are too many to be kept.
        """
        now = self._clock.time_ns()
        since = self._since(summary.state, memory, now)
        if summary.state not in TRANSIENT:
            memory = replace(memory, state=summary.state, since=since)
        points: list[Point] = []
        if self._set_due and self._bucket.take():
            self._set_due = False
            report = stamp_of_set(max(now, memory.report_end))
            points = item_points(self._instance, changes, report, omitted)
            memory = replace(memory, report=report, report_end=report + min(len(changes), MAX_ITEMS + 1) + 1)
        memory = replace(memory, seq=memory.seq + 1)
        spoken = replace(
            summary, seq=memory.seq, report=memory.report, since=since, sealed=memory.sealed, seal=memory.seal
        )
        points.append(drift_point(self._instance, spoken, now))
        self._next_point = self._clock.monotonic() + self._interval
        return Statement(points, memory)

    def _since(self, state: str, memory: Memory, now: int) -> int:
        known = {memory.state: memory.since} | dict([self._spoken])
        since = known.get(state, now)
        self._spoken = (state, since)
        return since
