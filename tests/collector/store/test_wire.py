"""Reports and items as JSON lines: what is written is read back; what is cut, or nonsense, is never believed."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.errors import StoreError
from drift_collector.store.base import DriftItem, DriftReport, Reset
from drift_collector.store.wire import read_items, read_reports, write_stream
from reports import item, report

TEXT = st.text(st.characters() | st.sampled_from("\n\udcff\x00"), max_size=20)
INTS = st.integers(-(2**63), 2**63 - 1)
REPORTS = st.builds(
    replace,
    st.just(report()),
    time=INTS,
    instance=TEXT,
    state=TEXT,
    seq=INTS,
    clock_offset=st.floats(allow_nan=False, allow_infinity=False),
    resets=st.lists(st.builds(Reset, st.sampled_from(["seq", "seal"]), TEXT, TEXT, INTS, st.booleans())).map(tuple),
)
ATTRIBUTES = st.dictionaries(TEXT, TEXT | INTS | st.booleans() | st.none(), max_size=3)
ITEMS = st.builds(replace, st.just(item()), time=INTS, key=TEXT, expected=ATTRIBUTES, actual=ATTRIBUTES, diff=TEXT)


@given(st.lists(REPORTS, max_size=4), st.lists(ITEMS, max_size=4))
def test_what_is_written_is_read_back(reports: list[DriftReport], items: list[DriftItem]) -> None:
    assert list(read_reports(write_stream(reports))) == reports
    assert list(read_items(write_stream(items))) == items


def test_a_newer_collector_may_say_more() -> None:
    (line, end) = write_stream([report()])
    more = json.dumps({**json.loads(line), "novelty": [1]}).encode()
    assert list(read_reports([more, end])) == [report()]


def test_a_stream_that_is_cut_short_anywhere_is_known_as_such() -> None:
    whole = list(write_stream([report("i-1"), report("i-2")]))
    for count in range(len(whole)):
        with pytest.raises(StoreError, match="cut short"):
            list(read_reports(whole[:count]))
    with pytest.raises(StoreError, match="lacks lines"):
        list(read_reports(whole[1:]))


def test_an_error_in_the_middle_is_told() -> None:
    with pytest.raises(StoreError, match="the collector says: the disk is full"):
        list(read_reports([next(write_stream([report()])), b'{"error": "the disk is full"}']))


@pytest.mark.parametrize(
    "line",
    [b"", b"<html>", b"[]", b"1", b"[" * 100_000, b"{}", b'{"time": 1}', b'{"time": "1", "instance": "i"}',
     b'{"time": 1, "instance": "i", "seq": 1.5}', b'{"time": 1, "instance": null}',
     b'{"time": 1, "instance": "i", "resets": [1]}', b'{"time": 1, "instance": "i", "resets": [{"kind": "seq"}]}',
     b'{"time": 1, "instance": "i", "resets": 7}', b"\xff"],
)  # fmt: skip
def test_nonsense_is_a_store_error(line: bytes) -> None:
    with pytest.raises(StoreError, match="not what this program understands"):
        list(read_reports([line, b'{"end": 1}']))
    with pytest.raises(StoreError, match="not what this program understands"):
        list(read_items([line, b'{"end": 1}']))
