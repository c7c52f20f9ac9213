"""An item as `state.db` keeps it: what was written is read, and nothing else is believed."""

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.state_record import UNKNOWN, Slot, decode, encode, unknown
from drift_agent.model import Change, ChangeKind, PathClass, Severity

text = st.text(alphabet="a/\n\0é\udc80", max_size=4)
attributes = st.dictionaries(text, st.one_of(text, st.integers(), st.booleans(), st.none()), max_size=3)
changes = st.builds(
    Change,
    kind=st.just("file"),
    key=text,
    change=st.sampled_from(get_args(ChangeKind)),
    path_class=st.sampled_from(get_args(PathClass)),
    severity=st.sampled_from(get_args(Severity)),
    expected=attributes,
    actual=attributes,
    diff=text,
    first_seen=st.integers(0, (1 << 63) - 1),
)
SOUND = Change("file", "/a", "modified", actual={"mode": "0600"}, first_seen=7)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)


def slot_of(change: Change) -> Slot:
    return "reverted" if change.change == "reverted" else "open"


@given(changes)
def test_an_item_comes_back_as_it_was(change: Change) -> None:
    assert decode(slot_of(change), change.kind, change.key, encode(change).encode()) == change


@given(st.sampled_from(sorted(json.loads(encode(SOUND)))), json_values)
def test_a_value_that_nobody_wrote_costs_its_record_and_no_more(name: str, value: Any) -> None:
    record = {**json.loads(encode(SOUND)), name: value}
    change = decode("open", "file", "/a", json.dumps(record).encode())
    assert change is None or json.loads(encode(change)) == record
    del record[name]
    assert decode("open", "file", "/a", json.dumps(record).encode()) is None


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"7", b"null", b"[" * 100_000, encode(SOUND).encode()[:-1]])
def test_bytes_that_are_no_record_are_none(raw: bytes) -> None:
    assert decode("open", "file", "/a", raw) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("first_seen", -1), ("first_seen", 1 << 63), ("first_seen", "7"), ("change", "broken"), ("path_class", None),
        ("severity", "urgent"), ("diff", 7), ("actual", [1]), ("actual", {"a": 1.5}), ("expected", {"a": ["b"]}),
    ],
)  # fmt: skip
def test_a_value_that_is_never_written_is_not_believed(name: str, value: object) -> None:
    record = {**json.loads(encode(SOUND)), name: value}
    assert decode("open", "file", "/a", json.dumps(record).encode()) is None


def test_what_was_put_right_stands_in_its_own_slot_and_nothing_else_does() -> None:
    put_right = replace(SOUND, change="reverted")
    assert decode("reverted", "file", "/a", encode(put_right).encode()) == put_right
    assert decode("open", "file", "/a", encode(put_right).encode()) is None
    assert decode("reverted", "file", "/a", encode(SOUND).encode()) is None


@pytest.mark.parametrize("slot", get_args(Slot))
def test_what_stands_for_a_damaged_record_can_be_kept_in_its_place(slot: Slot) -> None:
    stand_in = unknown(slot, "file", "/a")
    assert stand_in.actual == UNKNOWN
    assert decode(slot, "file", "/a", encode(stand_in).encode()) == stand_in
