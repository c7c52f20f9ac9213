"""Points ⇄ bytes."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.line_protocol import Encoder, LineError, encode, parse, portable, unportable
from drift_agent.model import Point

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda name: "\\" not in name and name != "time"
)
HOSTILE_TEXT = st.text(st.characters() | st.sampled_from('\\"\n\r\t,= \x00\udcff'), max_size=60).filter(
    lambda text: all(not "\ud800" <= c <= "\udfff" or "\udc80" <= c <= "\udcff" for c in text)
)
VALUES = (
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1) | HOSTILE_TEXT | st.booleans()
)
POINTS = st.builds(
    Point,
    measurement=NAMES.filter(lambda name: not name.startswith("#")),
    tags=st.dictionaries(NAMES, NAMES, max_size=4),
    fields=st.dictionaries(NAMES, VALUES, min_size=1, max_size=5),
    time=st.integers(-(2**63), 2**63 - 1),
)


@given(POINTS)
def test_what_is_written_is_read_back_and_never_splits_its_line(point: Point) -> None:
    line = encode(point).decode()
    assert "\n" not in line
    assert "\r" not in line
    read = parse(line)
    fields = {name: unportable(value) if isinstance(value, str) else value for name, value in read.fields.items()}
    assert (read.measurement, read.tags, read.time) == (point.measurement, point.tags, point.time)
    assert fields == point.fields
    assert [type(value) for value in fields.values()] == [type(value) for value in point.fields.values()]


@given(HOSTILE_TEXT)
def test_portable_text_holds_no_control_character_and_comes_back(text: str) -> None:
    written = portable(text)
    assert not any(ord(character) < 0x20 and character != "\t" for character in written)
    written.encode()  # no surrogate is left
    assert unportable(written) == text


@given(st.text(max_size=200))
def test_reading_anything_gives_a_point_or_a_line_error(text: str) -> None:
    with suppress(LineError):
        assert parse(text).fields


def test_newline_and_backslash_have_the_two_character_forms_that_readers_know() -> None:
    assert portable("a\nb\\c") == "a\\nb\\\\c"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2**63, -(2**63) - 1])
def test_what_no_engine_stores_is_refused(value: float) -> None:
    with pytest.raises(LineError):
        encode(Point("m", {}, {"f": value}, 0))


@pytest.mark.parametrize(
    "point",
    [
        Point("m", {}, {}, 0),
        Point("", {}, {"f": 1}, 0),
        Point("m", {"time": "x"}, {"f": 1}, 0),
        Point("m", {}, {"time": 1}, 0),
    ],
)
def test_a_point_that_would_be_lost_is_refused(point: Point) -> None:
    with pytest.raises(LineError):
        encode(point)


def test_an_empty_tag_is_left_out_and_tags_are_sorted() -> None:
    assert encode(Point("m", {"b": "2", "a": "1", "c": ""}, {"f": 1}, 5)) == b"m,a=1,b=2 f=1i 5"


def test_a_backslash_never_eats_the_separator_behind_it() -> None:
    line = encode(Point("m", {"path": "C:\\", "x": "a\\,b"}, {"f": 1}, 5)).decode()
    assert parse(line).tags == {"path": "C:/", "x": "a/,b"}


def test_the_agents_own_tags_win_over_those_of_a_point() -> None:
    """A log line must not pose as another host."""
    line = Encoder({"host": "me"}).line(Point("m", {"host": "you"}, {"f": 1}, 5))
    assert line == "m,host=me f=1i 5"


def test_a_default_tag_gives_way_to_the_points_own_of_that_name() -> None:
    """Two disks that both became `name=web` would overwrite each other's points."""
    encoder = Encoder({"host": "me"}, defaults={"name": "web", "zone": "a", "empty": ""})
    assert (
        encoder.line(Point("diskio", {"name": "sda"}, {"reads": 1}, 5)) == "diskio,host=me,name=sda,zone=a reads=1i 5"
    )
    assert encoder.line(Point("mem", {}, {"used": 1}, 5)) == "mem,host=me,name=web,zone=a used=1i 5"


def test_no_field_is_called_like_a_tag_of_every_point() -> None:
    encoder = Encoder({"host": "me"}, defaults={"zone": "a"})
    assert encoder.line(Point("app", {}, {"host": "x", "zone": 1, "v": 2}, 5)) == (
        'app,host=me,zone=a host_="x",zone_=1i,v=2i 5'
    )


def test_the_cache_of_heads_is_bounded_and_never_wrong() -> None:
    encoder = Encoder(max_heads=3)
    lines = [encoder.line(Point("m", {"t": str(n % 5)}, {f"f{n % 7}": n}, n)) for n in range(50)]
    assert lines == [f"m,t={n % 5} f{n % 7}={n}i {n}" for n in range(50)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("m,a=1,a=2 f=1 5", "duplicate tag"),
        ("m f=9223372036854775808i 5", "64 bits"),
        ("m f=NaN 5", "bad field"),
        ("m f=1 5 6", "bad timestamp"),
        ("m f=1e999 5", "out of range"),
        ("m", "missing fields"),
        ("m,time=1 f=1 5", "'time'"),
        ("m time=1 5", "'time'"),
        ("m f=٣i 5", "bad field"),
        ("m," + "\\a" * 5_000 + " f=1 5", "missing fields"),  # in linear time
        ("m f=1u 5", "timestamp"),
        ('m f="open 5', "bad field"),
        ("m f=1 99999999999999999999", "bad timestamp"),
    ],
)
def test_a_bad_line_is_refused_with_its_reason(line: str, problem: str) -> None:
    with pytest.raises(LineError, match=problem):
        parse(line)


def test_the_forms_of_booleans_and_numbers_are_read() -> None:
    point = parse("m a=t,b=FALSE,c=-1.5e3,d=+2i,e=.5 7")
    assert point.fields == {"a": True, "b": False, "c": -1500.0, "d": 2, "e": 0.5}
