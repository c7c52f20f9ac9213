"""Patterns of one's own: counters, gauges and strings by the names of their groups."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from drift_agent.line_protocol import Encoder
from drift_agent.logs.handler import Counts
from drift_agent.logs.lines import Chunk
from drift_agent.logs.regex_log import RegexLog
from drift_agent.logs.stamps import Stamps
from drift_agent.model import Point

NOW = 1_700_000_000_000_000_000
JOB = r"(?P<queue>\w+) took (?P<gauge_ms>[-\d.einf]+) for (?P<count_items>\S+)"


def read(text: str, pattern: str = JOB, tags: tuple[str, ...] = ("queue",)) -> tuple[list[Point], Counts]:
    counts = Counts()
    handler = RegexLog("jobs", re.compile(pattern), tags, counts, Stamps())
    handler.feed(Chunk(text.encode("utf-8", "surrogateescape"), 0, 0, ""), NOW)
    return handler.points(NOW), counts


def test_counters_are_summed_and_gauges_are_the_last() -> None:
    points, counts = read("a took 5 for 2\na took 7 for 3\nb took 1 for 1\nnothing\n")
    assert [(point.tags, point.fields) for point in points] == [
        ({"queue": "a"}, {"lines": 2, "items": 5, "ms": 7.0}),
        ({"queue": "b"}, {"lines": 1, "items": 1, "ms": 1.0}),
    ]
    assert counts.unparsed == 1


def test_a_string_makes_a_point_of_every_line_at_its_time() -> None:
    points, _ = read("2026-11-23T05:01:29Z bob in\n2026-11-23T05:01:29Z eve out\n", r"(?P<time>\S+) (?P<who>\w+) ", ())
    assert [point.fields for point in points] == [{"lines": 1, "who": "bob"}, {"lines": 1, "who": "eve"}]
    assert {point.time // 10**9 for point in points} == {1_795_410_089}
    assert len({point.time for point in points}) == 2


def test_what_is_no_number_is_left_out() -> None:
    points, _ = read("a took inf for 1e400\n")
    assert points[0].fields == {"lines": 1}


@given(
    st.lists(
        st.one_of(st.text(max_size=40), st.builds("{} took {} for {}".format, st.text(), st.floats(), st.integers())),
        max_size=9,
    )
)
@settings(deadline=None)
def test_no_line_breaks_it(lines: list[str]) -> None:
    text = "\n".join(line.replace("\n", " ").encode("utf-8", "replace").decode() for line in lines)
    encoder = Encoder()
    for point in read(text + "\n")[0]:
        encoder.line(point)
