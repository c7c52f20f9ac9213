"""Raw lines: the chosen severities, at a bounded rate, repeats once; counts of everything."""

from drift_agent.line_protocol import Encoder
from drift_agent.logs.handler import Counts
from drift_agent.logs.measurements import MEASUREMENTS
from drift_agent.logs.messages import Message
from drift_agent.logs.raw import Bucket, RawLines
from drift_agent.logs.stamps import LineTime, Stamps
from drift_agent.model import Point

NOW = 1_700_000_000_000_000_000


def ship(
    messages: list[Message], severities: frozenset[int], bucket: Bucket | None = None
) -> tuple[list[Point], Counts]:
    stamps, counts = Stamps(), Counts()
    raw = RawLines(severities, stamps, counts, bucket)
    for offset, message in enumerate(messages):
        raw.add(message, "app", 0, offset, NOW)
    points = raw.points(lambda: stamps.next(NOW))
    for point in points:
        Encoder().line(MEASUREMENTS[point.measurement].conform(point))
    return points, counts


def test_only_the_chosen_severities_leave_as_lines_but_all_are_counted() -> None:
    points, _ = ship([Message("bad", 3, 3), Message("fine", 6, 3), Message("fine too", 6, 3)], frozenset({3}))
    lines = [point for point in points if point.measurement == "syslog"]
    assert [(point.tags, point.fields["message"]) for point in lines] == [
        ({"severity": "err", "facility": "daemon", "appname": "app"}, "bad")
    ]
    counts = {point.tags["severity"]: point.fields["lines"] for point in points if point.measurement == "log_lines"}
    assert counts == {"err": 1, "info": 2}


def test_a_line_that_repeats_itself_leaves_once() -> None:
    points, _ = ship([Message("same", 3, 3)] * 5 + [Message("other", 3, 3)], frozenset({3}))
    assert [(point.fields["message"], point.fields.get("repeats")) for point in points[:2]] == [
        ("same", 4),
        ("other", None),
    ]


def test_lines_beyond_the_rate_are_dropped_and_counted() -> None:
    messages = [Message(f"line {number}", 3, 3) for number in range(10)]
    points, counts = ship(messages, frozenset({3}), Bucket(rate=1, burst=4))
    assert sum(point.measurement == "syslog" for point in points) == 4
    assert counts.dropped == 6
    assert points[-1].fields == {"lines": 10}


def test_a_bucket_fills_with_time_and_not_when_the_clock_steps_back() -> None:
    bucket = Bucket(rate=2, burst=1)
    assert [bucket.take(NOW), bucket.take(NOW)] == [True, False]
    assert bucket.take(NOW - 10**9) is False
    assert bucket.take(NOW) is True


def test_a_line_has_its_own_time_where_it_has_one() -> None:
    points, _ = ship([Message("x", 3, 3, LineTime(NOW - 10**9, 10**9), "h", "su", "1", "ID", 1)], frozenset({3}))
    assert points[0].time == NOW - 10**9
    assert points[0].fields["timestamp"] == NOW - 10**9
