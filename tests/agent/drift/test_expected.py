"""A cursor over a manifest: each line once, in order, parsed only when asked for, and every fault with its line."""

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.expected import Expected
from drift_agent.errors import ManifestError
from drift_agent.image.canonical import encode, order
from drift_agent.image.header import Header
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy
from drift_agent.model import Item

MANIFEST = Manifest("m", -1, Header("web", "", Policy.of([]), "", 0, {}), 0)
ITEMS = [
    *(Item("file", key, {"type": "file", "mode": "0644"}) for key in ("/", "/a", "/a/b", "/a.b", "/c", "/d")),
    Item("user", "root", {"uid": 0}),
]
LINES = [encode(item) for item in ITEMS]
BEHIND_HEADER = 2
"""The number of the first line that holds an item."""

cuts = st.sets(st.integers(1, len(b"".join(LINES)) - 1))


def blocks(whole: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """The same bytes in blocks that end at `cuts`."""
    ends = [*sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    return (whole[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True))


def over(*lines: bytes, number: int = BEHIND_HEADER) -> Expected:
    return Expected(MANIFEST, iter([b"".join(lines)]), number)


def rest_of(expected: Expected) -> list[Item]:
    items = []
    while expected.line:
        items.append(expected.take())
    expected.finish()
    return items


@given(cuts)
def test_however_the_file_is_cut_into_blocks_each_item_is_taken_once_in_order(cuts: set[int]) -> None:
    assert rest_of(Expected(MANIFEST, blocks(b"".join(LINES), cuts), BEHIND_HEADER)) == ITEMS


def test_the_place_is_that_of_the_line_it_stands_at() -> None:
    expected = over(*LINES)
    for item, line in zip(ITEMS, LINES, strict=True):
        assert (expected.line, expected.place()) == (line, order(item.kind, item.key))
        expected.take()
    assert expected.line == b""


@given(cuts, st.integers(0, 6), st.integers(1, 7))
def test_a_run_that_comes_next_is_passed_and_the_count_of_lines_goes_on(cuts: set[int], start: int, count: int) -> None:
    end = min(start + count, len(LINES))
    broken = [*LINES[:end], b"broken\n"]
    expected = Expected(MANIFEST, blocks(b"".join(broken), cuts), BEHIND_HEADER)
    for _ in range(start):
        expected.take()
    assert expected.pass_run(b"".join(LINES[start:end]), end - start)
    with pytest.raises(ManifestError, match=f"^m: line {BEHIND_HEADER + end} is not JSON"):
        expected.take()


@given(cuts, st.integers(0, 6), st.sampled_from([b"", b"x", LINES[0]]), st.booleans())
def test_a_run_that_does_not_come_next_leaves_it_where_it_stands(
    cuts: set[int], start: int, more: bytes, looked_at: bool
) -> None:
    expected = Expected(MANIFEST, blocks(b"".join(LINES), cuts), BEHIND_HEADER)
    for _ in range(start):
        expected.take()
    if looked_at:
        expected.place()
    other = b"".join(LINES[start:]).replace(b'"key":"', b'"key":"/other', 1) if not more else b"".join(LINES) + more
    assert not expected.pass_run(other, 7)
    assert rest_of(expected) == ITEMS[start:]


def test_a_file_is_passed_unparsed_and_what_follows_stands_behind_it() -> None:
    expected = over(LINES[0], b"anything at all\n", LINES[2])
    expected.take()
    expected.pass_file("/a")
    assert expected.take() == ITEMS[2]
    expected = over(b"anything at all\n", LINES[2])
    expected.pass_file("/a.b")
    with pytest.raises(ManifestError, match="line 3 is out of order"):
        expected.place()


@pytest.mark.parametrize("second", [LINES[0], LINES[1]])
@pytest.mark.parametrize("ask", [Expected.take, Expected.place, Expected.finish])
def test_a_line_that_comes_twice_or_too_late_is_named(ask: Callable[[Expected], object], second: bytes) -> None:
    expected = over(LINES[1], second)
    expected.take()
    with pytest.raises(ManifestError, match=r"^m: line 3 is out of order"):
        ask(expected)


def test_a_line_whose_number_is_not_known_has_none() -> None:
    expected = over(LINES[1], LINES[0], number=0)
    expected.take()
    with pytest.raises(ManifestError, match=r"^m: a line is out of order"):
        expected.take()


def test_what_nobody_asked_for_is_a_fault_at_the_end() -> None:
    expected = over(*LINES)
    while expected.place()[0] == "file":
        expected.take()
    with pytest.raises(ManifestError, match=r"^m: line 8 holds a user out of order"):
        expected.finish()
    over().finish()


@pytest.mark.parametrize(("number", "where"), [(BEHIND_HEADER, "line 4"), (0, "a line")])
def test_a_manifest_that_was_cut_short_says_in_which_line(number: int, where: str) -> None:
    expected = over(*LINES[:2], LINES[2][:-1], number=number)
    expected.take()
    with pytest.raises(ManifestError, match=f"^m: {where} has no end: the manifest was cut short"):
        expected.take()


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    """The blocks go on for ever."""
    with pytest.raises(ManifestError, match=r"^m: line 2 is longer than 1 MiB"):
        Expected(MANIFEST, repeat(b"x" * (256 << 10)), BEHIND_HEADER)
