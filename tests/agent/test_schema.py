"""What a declaration lets through."""

import pytest

from drift_agent.model import Point
from drift_agent.schema import DRIFT, DRIFT_ITEM, Measurement, SchemaError, fields

THING = Measurement(
    "thing", "", ("name",), {**fields("f", "percent", "used"), **fields("i", "bytes", "total")}, rest="s"
)


def point(**values: float | str | bool) -> Point:
    return Point("thing", {"name": "x"}, values, 1)


def test_an_int_becomes_a_float_where_the_field_is_one() -> None:
    used = THING.conform(point(used=3)).fields["used"]
    assert used == 3.0
    assert isinstance(used, float)


@pytest.mark.parametrize(
    "bad", [point(total=1.0), point(total="1"), point(total=True), point(used="x"), point(total=2**63), point(other=1)]
)
def test_a_type_never_flips(bad: Point) -> None:
    with pytest.raises(SchemaError):
        THING.conform(bad)


def test_unlisted_fields_take_the_type_of_the_rest() -> None:
    assert THING.conform(point(note="x")).fields == {"note": "x"}


def test_a_tag_that_is_not_declared_is_refused() -> None:
    with pytest.raises(SchemaError, match="tag 'path'"):
        THING.conform(Point("thing", {"path": "/"}, {"used": 1.0}, 1))


def test_drift_has_the_fields_of_the_contract() -> None:
    by_type = {letter: {name for name, declared in DRIFT.fields.items() if declared.type == letter} for letter in "sif"}
    assert by_type["s"] == {"state", "manifest", "observed", "seal", "policy", "agent_version", "boot_id"}
    assert by_type["f"] == {"scan_seconds", "clock_offset"}
    assert set(DRIFT_ITEM.tags) == {"instance", "kind", "change"}
