"""A field of a measurement keeps its type: across sections, and restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.logs.field_types import MAX_KNOWN_FIELDS, FieldTypes

values = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=3)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), values)))
def test_no_field_ever_has_two_types(said: list[tuple[str, str, object]]) -> None:
    types = FieldTypes()
    seen: dict[tuple[str, str], type] = {}
    for measurement, name, value in said:
        fitted = types.fit(measurement, name, value)
        if fitted is not None:
            assert type(fitted) is seen.setdefault((measurement, name), type(fitted))
        types = FieldTypes(types.state())


def test_measurements_do_not_bind_each_other() -> None:
    types = FieldTypes()
    assert types.fit("a", "x", 1) == 1.0
    assert types.fit("b", "x", "text") == "text"
    assert types.fit("a", "x", "text") is None
    assert types.fit("b", "x", 1) == "1.0"


@pytest.mark.parametrize("kept", [b"no", b"[]", b'{"a": 1}', b'{"a": {"x": "int", "y": []}}', b"\xff"])
def test_a_damaged_memory_is_none(kept: bytes) -> None:
    assert FieldTypes(kept).state() == b"{}"


def test_fields_are_not_remembered_without_bound() -> None:
    types = FieldTypes()
    assert all(types.fit("a", str(number), 1) for number in range(MAX_KNOWN_FIELDS))
    assert types.fit("a", "one more", 1) is None
    assert types.fit("a", "0", 2) == 2.0
