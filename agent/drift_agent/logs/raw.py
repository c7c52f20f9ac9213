"""Messages → points: counts by severity of all of them, and the lines themselves of the severities that were chosen.

Raw lines leave at a bounded rate, and a line that repeats itself leaves once with the number of its repeats.
"""

from collections import Counter
from typing import Final

from drift_agent.logs.handler import MAX_TEXT, Counts, NextStamp, SeriesLimit
from drift_agent.logs.messages import Message
from drift_agent.logs.severity import FACILITIES, SEVERITIES
from drift_agent.logs.stamps import Stamps
from drift_agent.model import FieldValue, Point

LINES_PER_SECOND: Final = 200
BURST: Final = 5000
_TAGS: Final = ("severity", "facility", "hostname", "appname")


class Bucket:
    """A token bucket over the time that it is told."""

    def __init__(self, rate: float = LINES_PER_SECOND, burst: float = BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: int | None = None

    def take(self, now_ns: int) -> bool:
        """Whether one more may pass."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + max(0, now_ns - self._at) * 1e-9 * self._rate)
        self._at = now_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class RawLines:
    """The messages of one section."""

    def __init__(
        self, severities: frozenset[int], stamps: Stamps, counts: Counts, bucket: Bucket | None = None
    ) -> None:
        self._severities = severities
        self._stamps = stamps
        self._counts = counts
        self._bucket = bucket or Bucket()
        self._limit = SeriesLimit(counts)
        self._seen: Counter[tuple[str, int]] = Counter()
        self._points: list[Point] = []
        self._last: dict[tuple[object, ...], dict[str, FieldValue]] = {}

    def add(self, message: Message, log: str, ordinal: int, offset: int, now_ns: int) -> None:
        """One message of `log`, from file `ordinal` at byte `offset`."""
        self._seen[log, message.severity] += 1
        if message.severity not in self._severities:
            return
        text = message.message[:MAX_TEXT]
        appname = message.appname or log
        key = (message.severity, message.facility, message.hostname, appname, text)
        repeated = self._last.get(key)
        if repeated is not None:
            repeats = repeated.get("repeats", 0)
            repeated["repeats"] = int(repeats) + 1
            return
        if not self._bucket.take(now_ns):
            self._counts.dropped += 1
            return
        time = message.time
        stamp = self._stamps.of_line(time, ordinal, offset) if time is not None else self._stamps.next(now_ns)
        facility = FACILITIES[message.facility] if message.facility < len(FACILITIES) else str(message.facility)
        tags = self._limit.admit((SEVERITIES[message.severity], facility, message.hostname, appname))
        fields: dict[str, FieldValue] = {
            "message": text,
            "severity_code": message.severity,
            "facility_code": message.facility,
            "timestamp": time.ns if time is not None else stamp,
        }
        if message.version is not None:
            fields["version"] = message.version
        if message.procid:
            fields["procid"] = message.procid
        if message.msgid:
            fields["msgid"] = message.msgid
        self._last[key] = fields
        point_tags = {name: value for name, value in zip(_TAGS, tags, strict=True) if value}
        self._points.append(Point("syslog", point_tags, fields, stamp))

    def points(self, stamp: NextStamp) -> list[Point]:
        """The lines and the counts of the interval; begins a new one."""
        points, self._points, self._last = self._points, [], {}
        if self._seen:
            at = stamp()
            for (log, severity), lines in self._seen.items():
                points.append(Point("log_lines", {"log": log, "severity": SEVERITIES[severity]}, {"lines": lines}, at))
            self._seen = Counter()
        return points
