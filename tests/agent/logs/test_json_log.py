"""JSON lines: each a point, its types fixed, its time its own."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from drift_agent.line_protocol import Encoder
from drift_agent.logs.field_types import FieldTypes
from drift_agent.logs.handler import Counts
from drift_agent.logs.json_log import JsonLog
from drift_agent.logs.lines import Chunk
from drift_agent.logs.stamps import Stamps
from drift_agent.model import FieldValue, Point

NOW = 1_700_000_000_000_000_000


def read(*lines: str, tags: tuple[str, ...] = (), time_key: str = "") -> tuple[list[Point], Counts]:
    counts = Counts()
    handler = JsonLog("", tags, time_key, counts, Stamps(), FieldTypes())
    handler.feed(Chunk(("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"), 0, 0, "app"), NOW)
    return handler.points(NOW), counts


def fields(*lines: str) -> list[dict[str, FieldValue]]:
    return [dict(point.fields) for point in read(*lines)[0]]


def test_numbers_are_floats_and_nested_keys_are_joined() -> None:
    line = '{"ms": 12, "user": {"id": 7, "roles": ["a", "b"]}, "ok": true, "none": null, "text": "x\\ny"}'
    (point,), _ = read(line)
    assert point.measurement == "app"
    assert point.fields == {
        "ms": 12.0, "user_id": 7.0, "user_roles_0": "a", "user_roles_1": "b", "ok": True, "text": "x\ny",
    }  # fmt: skip


def test_tags_are_those_that_are_named() -> None:
    (point,), _ = read('{"level": "info", "code": 7, "ms": 1, "empty": ""}', tags=("level", "code", "empty", "none"))
    assert point.tags == {"level": "info", "code": "7"}
    assert point.fields == {"ms": 1.0}


def test_the_time_is_that_of_the_key_and_two_lines_never_share_it() -> None:
    line = '{"ts": "2026-11-23T05:01:29.123Z", "a": 1}'
    points, _ = read(line, line, line, time_key="ts")
    assert len({point.time for point in points}) == 3
    assert all(point.time // 10**6 == 1_795_410_089_123 for point in points)
    assert all("ts" not in point.fields for point in points)


def test_a_line_without_a_time_gets_that_of_reading() -> None:
    points, _ = read('{"a": 1}', '{"ts": "late", "a": 1}', time_key="ts")
    assert [point.time for point in points] == [NOW, NOW + 1]
    assert points[1].fields == {"ts": "late", "a": 1.0}


def test_a_field_keeps_the_type_that_it_had_first() -> None:
    assert fields('{"a": 1, "b": "x"}', '{"a": "2.5", "b": 3}', '{"a": "no", "b": true}', '{"a": true, "c": 1}') == [
        {"a": 1.0, "b": "x"},
        {"a": 2.5, "b": "3.0"},
        {"b": "True"},
        {"a": 1.0, "c": 1.0},
    ]


def test_what_is_no_object_or_says_nothing_is_counted() -> None:
    points, counts = read("[1]", "7", "{", "nonsense", "{}", '{"a": null}', '{"a": NaN}', "[" * 5000, '{"a": 1}')
    assert len(points) == 1
    assert counts.unparsed == 8


def test_a_measurement_never_poses_as_drift() -> None:
    counts = Counts()
    handler = JsonLog("drift", (), "", counts, Stamps(), FieldTypes())
    handler.feed(Chunk(b'{"state": "clean", "time": 3}\n', 0, 0, ""), NOW)
    (point,) = handler.points(NOW)
    assert point.measurement == "drift_log"
    assert point.fields == {"state": "clean", "time_": 3.0}


def test_series_are_bounded() -> None:
    points, counts = read(*(f'{{"id": "{number}", "a": 1}}' for number in range(1005)), tags=("id",))
    assert len({point.tags["id"] for point in points}) == 1001
    assert counts.folded == 5


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(st.one_of(st.text(max_size=60), JSON.map(json.dumps)), max_size=10))
@settings(deadline=None)
def test_no_line_breaks_it_and_every_point_can_be_encoded(lines: list[str]) -> None:
    points, counts = read(*(line.replace("\n", " ") for line in lines), tags=("a",), time_key="t")
    assert len(points) + counts.unparsed == counts.lines
    assert len({point.time for point in points}) == len(points)
    encoder = Encoder()
    for point in points:
        encoder.line(point)
