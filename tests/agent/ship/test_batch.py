"""Batches."""

from hypothesis import given
from hypothesis import strategies as st

from drift_agent.ship.batch import MAX_BATCH_LINES, into_batches

LINES = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40), min_size=1)


@given(lines=LINES, limit=st.integers(1, 300))
def test_into_batchesting_keeps_every_line_in_order_within_the_limit(lines: list[str], limit: int) -> None:
    batches = list(into_batches("logs", lines, 7, limit))
    assert [text.decode() for batch in batches for text in batch.split()] == lines
    assert all(batch.lines == len(batch.split()) for batch in batches)
    assert all(len(batch.body) <= limit or batch.lines == 1 for batch in batches)


def test_a_batch_holds_a_bounded_number_of_lines() -> None:
    assert [batch.lines for batch in into_batches("metrics", ["m v=1 1"] * (MAX_BATCH_LINES + 1), 7)] == [
        MAX_BATCH_LINES,
        1,
    ]


def test_a_batch_knows_the_times_of_its_points() -> None:
    (batch,) = into_batches("metrics", ["m v=1 30", "m v=1 -5", 'm s="no time"'], 7)
    assert (batch.oldest, batch.newest, batch.made) == (-5, 30, 7)
