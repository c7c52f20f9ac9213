"""Points of drift have the declared shape, and survive the way to a reader."""

import json

from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.points import MAX_ITEMS, Summary, drift_point, item_points, stamp_of_set
from drift_agent.line_protocol import encode, parse, unportable
from drift_agent.model import Change
from drift_agent.schema import DRIFT, REST_KIND


def test_a_drift_point_has_every_declared_field() -> None:
    point = drift_point("i-1", Summary(state="clean", degraded=True), 5)
    assert set(point.fields) == set(DRIFT.fields)
    assert point.fields["degraded"] == 1
    assert point.tags == {"instance": "i-1"}
    assert point.time == 5


def test_items_of_a_set_stand_a_nanosecond_apart_the_most_severe_first() -> None:
    changes = [
        Change("file", "/b", "modified", severity="low"),
        Change("user", "eve", "added", severity="high"),
        Change("file", "/a", "removed", severity="low"),
    ]
    points = item_points("i-1", changes, 1000)
    assert [(point.time, point.fields["key"]) for point in points] == [(1000, "eve"), (1001, "/a"), (1002, "/b")]
    assert {point.fields["report"] for point in points} == {1000}


def test_a_set_is_capped_and_the_rest_is_counted() -> None:
    points = item_points("i-1", [Change("file", f"/{n:05}", "added") for n in range(MAX_ITEMS + 7)], 1000)
    assert len(points) == MAX_ITEMS + 1
    assert points[-1].tags["kind"] == REST_KIND
    assert json.loads(str(points[-1].fields["actual"])) == {"count": 7}
    beyond = item_points("i-1", [Change("file", f"/{n:05}", "added") for n in range(MAX_ITEMS + 7)], 1000, 500)
    assert beyond[-1].fields["key"] == "507 more items"


@given(st.binary(min_size=1, max_size=30), st.text(max_size=30))
def test_any_key_and_attribute_comes_back_as_it_was(name: bytes, target: str) -> None:
    key = "/" + name.replace(b"\0", b"").decode("utf-8", "surrogateescape")
    target = target.encode("utf-8", "ignore").decode()
    point = item_points("i-1", [Change("file", key, "added", actual={"target": target, "size": 3})], 7)[0]
    back = parse(encode(point).decode())
    assert unportable(str(back.fields["key"])) == key
    assert json.loads(unportable(str(back.fields["actual"]))) == {"target": target, "size": 3}


@given(st.integers(0, 2**62))
def test_the_stamp_of_a_set_is_held_exactly_by_engines_that_keep_floats(earliest: int) -> None:
    stamp = stamp_of_set(earliest)
    assert int(float(stamp)) == stamp
    assert earliest <= stamp <= earliest + MAX_ITEMS + 23
