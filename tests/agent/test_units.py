"""Durations and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.units import format_bytes, format_duration, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("1h30m", 5400), ("500ms", 0.5), ("7d", 604800), ("1.5h", 5400)]
)
def test_durations_are_telegrafs(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", "1h x", "-1s", "1h30"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("64MiB", 64 << 20), ("1GB", 10**9), ("4096", 4096), ("1.5KiB", 1536)])
def test_sizes_know_both_kinds_of_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1 PB", "ten"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (300, "5m"), (7500, "2h 5m"), (277200, "3d 5h"), (86460, "1d 1m")]
)
def test_durations_are_shown_in_two_units_at_most(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 10**9))
def test_a_shown_duration_is_read_back_to_within_its_last_unit(seconds: int) -> None:
    read = parse_duration(format_duration(seconds).replace(" ", ""))
    assert read <= seconds < read + 3600 * 24


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")])
def test_bytes_are_shown_in_powers_of_1024(count: int, text: str) -> None:
    assert format_bytes(count) == text
