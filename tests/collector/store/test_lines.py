"""The quick reader of lines, against the strict parser, which has the last word."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drift_agent.line_protocol import LineError, encode, parse
from drift_agent.model import FieldValue, Point
from drift_collector.store.lines import (
    BadLine,
    Line,
    canonical,
    fields_of,
    merge_fields,
    read_line,
    read_lines,
    tags_of,
)
from effort import LINEAR, growth

NOW = 1_790_000_000_000_000_000

# Pieces that lines are made of, good and bad: what is put together from them comes near every rule of the format.
SEPARATORS = st.sampled_from([",", "=", " ", "\\", "\\,", "\\ ", '"', '\\"', "#", "\t", "\r"])
NUMBERS = st.sampled_from(
    ["1", "1i", "-2i", "+3i", "1e5", "1E+400", "1.", ".5", "-", "1u", "NaN", "\u0663", "0", "1790000000000000000"]
    + [f"{limit}{suffix}" for limit in (2**63 - 1, 2**63, -(2**63), 10**20) for suffix in ("i", "")]
)
PIECES = SEPARATORS | NUMBERS | st.sampled_from(["m", "cpu", "a", "é", "time", "host", "t", "true", "F", "False"])
LINES = st.lists(PIECES, max_size=14).map("".join) | st.builds(
    "{},{}={} {}={},{}={} {}".format, PIECES, PIECES, PIECES, PIECES, PIECES, PIECES, PIECES, PIECES
)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
    lambda name: name != "time"
)
VALUES = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1) | st.text() | st.booleans()
POINTS = st.builds(
    Point,
    measurement=NAMES.filter(lambda name: not name.startswith("#")),
    tags=st.dictionaries(NAMES, NAMES, max_size=3),
    fields=st.dictionaries(NAMES, VALUES, min_size=1, max_size=4),
    time=st.integers(-(2**63), 2**63 - 1),
)


def _strict(text: str) -> Point | None:
    text = text.removesuffix("\r").lstrip(" \t")
    if not text or text.startswith("#"):
        return None
    return parse(text, default_time=NOW)


@given(LINES)
@example("m,a=1,a=2 f=1i 5")
@example('m f="a\\\\" 5')
@example('m f="open')
@example("m\\ f=1 5")
@example(" m f=1 5\r")
@example('\t,m=m m=",m=m "')
@example("m f=1 -9223372036854775808")
def test_it_accepts_and_refuses_as_the_strict_parser_does_and_reads_the_same_values(text: str) -> None:
    try:
        expected = _strict(text)
    except LineError:
        read = read_line(text, NOW)
        if isinstance(read, Line):  # a tag that stands twice shows when its series is looked up
            with pytest.raises(LineError):
                tags_of(read.head)
        return
    read = read_line(text, NOW)
    if expected is None:
        assert read is None
        return
    assert isinstance(read, Line)
    measurement, tags = tags_of(read.head)
    assert Point(measurement, tags, fields_of(read.fields), read.time) == expected
    assert list(map(type, fields_of(read.fields).values())) == list(map(type, expected.fields.values()))


@given(POINTS)
def test_whatever_an_agent_writes_is_read(point: Point) -> None:
    text = encode(point).decode()
    read = read_line(text, NOW)
    assert isinstance(read, Line)
    assert Point(*tags_of(read.head), fields_of(read.fields), read.time) == parse(text)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    for read in read_lines(text, NOW):
        assert isinstance(read, Line | BadLine)


@pytest.mark.parametrize(
    "make",
    [
        lambda count: "m,t=" + "\\" * count + "x",
        lambda count: "m," + "a=" * count,
        lambda count: "m " + "f=1," * count,
        lambda count: 'm f="' + '\\"' * count,
        lambda count: "m f=" + "1" * count,
        lambda count: "m," + "a=b," * count + " f=1",
        lambda count: "m f=1e" + "9" * count,
        lambda count: "m f=" + "9" * count + "i",
    ],
    ids=["backslashes", "tags", "fields", "quotes", "digits", "commas", "exponent", "integer"],
)
def test_a_hostile_line_is_refused_in_linear_time(make: Callable[[int], str]) -> None:
    assert isinstance(read_line(make(100_000), NOW), BadLine)
    assert growth(make, lambda text: read_line(text, NOW), 25_000) < LINEAR


def test_a_line_over_one_mebibyte_is_refused() -> None:
    assert isinstance(read_line('m f="' + "x" * (1 << 20) + '"', NOW), BadLine)


def test_empty_lines_and_comments_are_left_out_and_a_line_without_time_gets_now() -> None:
    read = list(read_lines("\n# comment\n\r\nm f=1\nm f=2 7\n", NOW))
    assert read == [Line("m", "f=1", NOW), Line("m", "f=2", 7)]


@pytest.mark.parametrize(("unit", "expected"), [(1, 17), (1000, 17_000), (10**9, 17 * 10**9)])
def test_times_come_in_the_unit_of_the_request(unit: int, expected: int) -> None:
    read = read_line("m f=1 17", NOW, unit)
    assert isinstance(read, Line)
    assert read.time == expected


def test_a_time_that_leaves_its_range_by_its_unit_is_refused() -> None:
    assert isinstance(read_line("m f=1 9223372036854775", NOW, 10**9), BadLine)


def test_a_series_is_the_same_in_whatever_order_its_tags_stand() -> None:
    assert canonical("m,b=2,a=1") == canonical("m,a=1,b=2") == "m,a=1,b=2"
    assert canonical("m\\,x,b=2\\,c\\=3,a=1") == "m\\,x,a=1,b=2\\,c\\=3"
    assert canonical("m") == "m"


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
def test_merged_fields_are_those_of_both_and_the_later_ones_win(
    kept: dict[str, FieldValue], coming: dict[str, FieldValue]
) -> None:
    def text(fields: dict[str, FieldValue]) -> str:
        return encode(Point("m", {}, fields, 0)).decode().removeprefix("m ").removesuffix(" 0")

    expected = {**fields_of(text(kept)), **fields_of(text(coming))}
    assert fields_of(merge_fields(text(kept), text(coming))) == expected
