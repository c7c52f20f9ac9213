"""Times for points of the logs lane: no two of them are the same.

InfluxDB keeps one point of a series and time, so a second line of the same second would overwrite the first. A line's
own time is kept to its precision; only the finer digits are filled, from where the line stands: the same line read
twice becomes the same point.
"""

from collections import deque
from typing import Final, NamedTuple

SLOTS: Final = 16
"""Files of a section that share a second without their offsets meeting."""
REMEMBERED: Final = 65_536


class LineTime(NamedTuple):
    """A time read from a line: ns, and the ns that its precision leaves open (10^9 for whole seconds)."""

    ns: int
    quantum: int


class Stamps:
    """Gives out times. One for the whole agent; `last` is kept with the offsets."""

    def __init__(self, last: int = 0) -> None:
        self.last = last
        """The last stamp given to something without a time of its own."""
        self._recent: set[int] = set()
        self._order: deque[int] = deque()

    def next(self, now_ns: int) -> int:
        """A time for something that has none: now, and always later than the last one."""
        self.last = max(now_ns, self.last + 1)
        return self.last

    def of_line(self, time: LineTime, ordinal: int, offset: int) -> int:
        """The time of a line of file `ordinal` at byte `offset`."""
        room = time.quantum // SLOTS
        stamp = time.ns
        if room:
            stamp += ordinal % SLOTS * room + offset % room
        while stamp in self._recent:  # what the digits could not keep apart
            stamp += 1
        self._recent.add(stamp)
        self._order.append(stamp)
        if len(self._order) > REMEMBERED:
            self._recent.discard(self._order.popleft())
        return stamp
