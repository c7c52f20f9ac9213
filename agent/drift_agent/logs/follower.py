"""All `[[logs]]` sections together: what the daemon polls, and puts into the spool in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Final

from drift_agent.clock import Clock
from drift_agent.config import LogOptions
from drift_agent.logs.field_types import FieldTypes
from drift_agent.logs.handler import Counts
from drift_agent.logs.journal import Spawn, spawn_journalctl
from drift_agent.logs.measurements import INTERNAL_LOGS, MEASUREMENTS
from drift_agent.logs.section import Section, make_section
from drift_agent.logs.stamps import Stamps
from drift_agent.model import Point

STAMP_KEY: Final = "logs#stamp"
TYPES_KEY: Final = "logs#types"


@dataclass(frozen=True, slots=True)
class Batch:
    """Points, and the offsets that must be kept in the same transaction. `more`: poll again without waiting."""

    points: list[Point] = field(default_factory=list)
    offsets: dict[str, bytes] = field(default_factory=dict)
    more: bool = False


class Follower:
    """Follows every section. Called from one thread.

        batch = follower.poll(now_ns)
        spool.put({"logs": lines of batch.points}, offsets=batch.offsets)
        follower.confirm()

    A batch that is not confirmed is given again, and nothing is read meanwhile: while the spool cannot be written,
    the log files are the buffer. Counts are those of an interval: polls in between read on, so that no rotation goes
    by unseen, and give an empty batch; what they read is kept only with the batch that holds it.
    """

    def __init__(
        self,
        options: Sequence[LogOptions],
        restored_offsets: Mapping[str, bytes],
        clock: Clock,
        *,
        interval: float = 0.0,
        spawn: Spawn = spawn_journalctl,
    ) -> None:
        """`interval`: s over which is counted; 0 is from poll to poll.

        Raises:
            ConfigError: a section's format, pattern or severity is none.
        """
        self._clock = clock
        self._interval = interval
        self._flushed = float("-inf")
        self._stamps = Stamps(_restored_stamp(restored_offsets.get(STAMP_KEY)))
        self._types = FieldTypes(restored_offsets.get(TYPES_KEY))
        self._kept: dict[str, bytes] = dict(restored_offsets)
        self._pending: Batch | None = None
        self._said: dict[int, Counts] = {}
        self._sections: list[Section] = []
        keys: set[str] = set()
        for index, one in enumerate(options):
            key = _key(one, keys)
            section = make_section(one, index, key, restored_offsets, self._stamps, self._types, spawn=spawn)
            self._sections.append(section)

    def poll(self, now_ns: int, *, flush: bool = False) -> Batch:
        """What came since the last batch, once an interval, or now if `flush`; the same again until it is confirmed."""
        if self._pending is not None:
            return self._pending
        monotonic = self._clock.monotonic()
        for section in self._sections:
            section.read(now_ns, monotonic)
        more = any(section.more for section in self._sections)
        if not (flush or more or monotonic - self._flushed >= self._interval):
            return Batch()
        self._flushed = monotonic
        self._pending = self._gather(now_ns, more)
        return self._pending

    def confirm(self) -> None:
        """The last batch is in the spool."""
        if self._pending is not None:
            self._kept |= self._pending.offsets
            self._pending = None

    def close(self) -> None:
        """Lets go of files and children; what was not confirmed is read again at the next start."""
        for section in self._sections:
            section.close()

    def _gather(self, now_ns: int, more: bool) -> Batch:
        points: list[Point] = []
        offsets: dict[str, bytes] = {}
        for index, section in enumerate(self._sections):
            points += section.points(now_ns)
            points += self._counted(index, section, now_ns)
            offsets |= section.offsets()
        offsets[TYPES_KEY] = self._types.state()
        offsets[STAMP_KEY] = str(self._stamps.last).encode()
        changed = {key: state for key, state in offsets.items() if self._kept.get(key) != state}
        return Batch([_conform(point) for point in points], changed, more)

    def _counted(self, index: int, section: Section, now_ns: int) -> list[Point]:
        counts = Counts(*astuple(section.counts))
        if counts == self._said.get(index, Counts()):
            return []
        self._said[index] = counts
        values = {name: getattr(counts, name) for name in INTERNAL_LOGS.fields}
        return [Point("internal_logs", {"log": section.label}, values, self._stamps.next(now_ns))]


def _conform(point: Point) -> Point:
    declared = MEASUREMENTS.get(point.measurement)
    return declared.conform(point) if declared is not None else point


def _key(options: LogOptions, taken: set[str]) -> str:
    """What a section's offsets are kept under: the same as long as its place and name are."""
    base = "journal:" if options.journal else "files:"
    key = f"{base}{options.name}:{options.path}"
    number = 1
    while key in taken:
        number += 1
        key = f"{base}{options.name}:{options.path}:{number}"
    taken.add(key)
    return key


def _restored_stamp(kept: bytes | None) -> int:
    return int(kept) if kept is not None and kept.isdigit() else 0
