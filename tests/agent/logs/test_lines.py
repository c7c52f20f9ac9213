"""Bytes → records, in any blocks."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from drift_agent.logs.lines import MAX_RECORD_BYTES, Chunk, compile_start, take_whole

TEXT = st.binary(max_size=200).map(lambda data: data.replace(b"\0", b"\n"))


def take_all(data: bytes, blocks: list[int], start: re.Pattern[bytes] | None = None) -> list[bytes]:
    """The records of `data`, as a reader gets them that sees it grow by `blocks`."""
    records: list[bytes] = []
    offset = seen = 0
    skipping = False
    for size in [*blocks, len(data)]:
        seen = min(len(data), seen + size)
        last = seen == len(data)
        cut = take_whole(data[offset:seen], skipping=skipping, last=last, start=start, full=False)
        records += [record for _, record in Chunk(cut.data, offset, 0, "", start).records()]
        offset += cut.taken
        skipping = cut.skipping
    assert offset == len(data)
    return records


@given(TEXT, st.lists(st.integers(1, 40), max_size=30))
@settings(deadline=None)
def test_the_lines_are_the_same_in_whatever_pieces_they_come(data: bytes, blocks: list[int]) -> None:
    expected = [line.strip(b"\r\0") for line in data.split(b"\n")]
    assert take_all(data, blocks) == [line for line in expected if line]


@given(st.lists(st.sampled_from([b"1 a\n", b"  b\n", b"2 c\n", b"\n"]), max_size=20), st.lists(st.integers(1, 9)))
@settings(deadline=None)
def test_so_are_records_of_several_lines(lines: list[bytes], blocks: list[int]) -> None:
    data = b"".join(lines)
    start = compile_start(r"\d")
    assert take_all(data, blocks, start) == take_all(data, [], start)
    assert b"".join(take_all(data, [], start)).count(b" ") == data.count(b" ")


def test_offsets_are_those_of_the_file() -> None:
    data = b"one\n\ntwo\r\nthree\n"
    assert list(Chunk(data, 100, 0, "").records()) == [(100, b"one"), (105, b"two"), (110, b"three")]


def test_a_full_block_without_a_newline_is_cut_and_the_rest_of_the_line_skipped() -> None:
    cut = take_whole(b"x" * 200_000, skipping=False, last=False, start=None, full=True)
    assert (len(cut.data), cut.taken, cut.skipping, cut.cut) == (MAX_RECORD_BYTES + 1, 200_000, True, 1)
    rest = take_whole(b"xxx\nnext\n", skipping=True, last=False, start=None, full=False)
    assert (rest.data, rest.taken, rest.skipping) == (b"next\n", 9, False)
