"""Times of log points: the line's own to its precision, and never one twice."""

from hypothesis import given, settings
from hypothesis import strategies as st

from drift_agent.logs.stamps import LineTime, Stamps

NOW = 1_700_000_000_000_000_000
QUANTA = st.sampled_from([10**9, 10**6, 10**3, 1])


@given(st.lists(st.tuples(QUANTA, st.integers(0, 3), st.integers(0, 40), st.integers(0, 10**7)), max_size=200))
@settings(deadline=None)
def test_no_two_lines_share_a_time(lines: list[tuple[int, int, int, int]]) -> None:
    stamps = Stamps()
    given_out = [
        stamps.of_line(LineTime(NOW + step * quantum, quantum), ordinal, offset)
        for quantum, step, ordinal, offset in lines
    ]
    assert len(given_out) == len(set(given_out))


@given(QUANTA, st.integers(0, 100), st.integers(0, 10**12))
def test_a_line_keeps_its_time_to_its_precision_and_gets_the_same_when_read_again(
    quantum: int, ordinal: int, offset: int
) -> None:
    stamp = Stamps().of_line(LineTime(NOW, quantum), ordinal, offset)
    assert NOW <= stamp < NOW + quantum
    assert Stamps().of_line(LineTime(NOW, quantum), ordinal, offset) == stamp


def test_files_that_share_a_second_keep_apart() -> None:
    stamps = {Stamps().of_line(LineTime(NOW, 10**9), ordinal, 500) for ordinal in range(16)}
    assert len(stamps) == 16


def test_what_has_no_time_of_its_own_comes_after_the_last_even_if_the_clock_steps_back() -> None:
    stamps = Stamps(last=NOW + 5)
    assert [stamps.next(NOW), stamps.next(NOW + 100), stamps.next(NOW)] == [NOW + 6, NOW + 100, NOW + 101]
