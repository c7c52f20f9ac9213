"""Bodies: whole lines whatever the blocks, and no more memory than is allowed."""

import gzip
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_collector.server.body import BodyError, Budget, Limits, text_blocks

LIMITS = Limits()


@given(st.binary(max_size=2_000), st.booleans())
def test_the_blocks_hold_the_body_cut_only_between_lines(body: bytes, zipped: bool) -> None:
    sent, encoding = (gzip.compress(body), "gzip") if zipped else (body, "")
    blocks = list(text_blocks(sent, encoding, LIMITS))
    assert b"\n".join(blocks).strip(b"\n") == body.strip(b"\n")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_lines_longer_than_a_block_come_whole(encoding: str) -> None:
    lines = [random.Random(n).randbytes(n).replace(b"\n", b"x") for n in (300_000, 5, 900_000, 1)]
    body = b"\n".join(lines)
    sent = gzip.compress(body) if encoding == "gzip" else body
    assert b"\n".join(text_blocks(sent, encoding, LIMITS)).split(b"\n") == lines


def test_inflating_takes_memory_by_the_block_not_by_the_body() -> None:
    bomb = gzip.compress((b"m f=1 5" * 100 + b"\n") * 100_000)
    tracemalloc.start()
    total = sum(len(block) for block in text_blocks(bomb, "gzip", LIMITS))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > 69_000_000
    assert peak < 4_000_000


def test_what_inflates_past_its_limit_is_refused_before_it_is_there() -> None:
    bomb = gzip.compress(b"\n" * (LIMITS.decoded + 1))
    with pytest.raises(BodyError, match="after inflating") as caught:
        for _ in text_blocks(bomb, "gzip", LIMITS):
            pass
    assert caught.value.status == 413


def test_the_budget_takes_what_fits_and_gets_it_back() -> None:
    budget = Budget(10)
    budget.take(10)
    with pytest.raises(BodyError) as caught:
        budget.take(1)
    assert caught.value.status == 503
    budget.give_back(10)
    budget.take(10)
