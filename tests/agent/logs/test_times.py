"""Timestamps of every form that is read, and whatever else stands in their place."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift_agent.logs.stamps import LineTime
from drift_agent.logs.times import from_epoch, parse_any, parse_apache, parse_bsd, parse_clf, parse_iso

AT = 1_795_410_089 * 10**9  # 2026-11-23T05:01:29Z
S, MS, US = 10**9, 10**6, 10**3


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T05:01:29Z", LineTime(AT, S)),
        ("2026-11-23 05:01:29", LineTime(AT, S)),
        ("2026/11/23 05:01:29", LineTime(AT, S)),
        ("2026-11-23T06:01:29+01:00", LineTime(AT, S)),
        ("2026-11-22T23:31:29.5-0530", LineTime(AT + 500 * MS, 100 * MS)),
        ("2026-11-23T05:01:29.123456789Z", LineTime(AT + 123_456_789, 1)),
        ("2026-11-23T05:01:29,123 UTC", LineTime(AT + 123 * MS, MS)),
        ("2026-13-23T05:01:29Z", None),
        ("1066-10-14T05:01:29Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("yesterday", None),
    ],
)
def test_iso_has_its_zone_and_its_precision(text: str, expected: LineTime | None) -> None:
    assert parse_iso(text) == expected


def test_apaches_two_forms_have_their_zone_and_their_precision() -> None:
    assert parse_apache("Mon Nov 23 05:01:29.123456 2026") == LineTime(AT + 123_456 * US, US)
    assert parse_apache("Mon Nov 23 05:01:29 2026") == LineTime(AT, S)
    assert parse_clf("23/Nov/2026:05:01:29 +0000") == LineTime(AT, S)
    assert parse_clf("23/Nov/2026:07:01:29 +0200") == LineTime(AT, S)


def test_a_year_that_is_not_said_is_the_one_that_fits() -> None:
    assert parse_bsd("Nov 23 05:01:29", AT) == LineTime(AT, S)
    new_year = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) * S
    assert parse_bsd("Dec 31 23:59:59", new_year) == LineTime(new_year - S, S)
    assert parse_bsd("Jan  1 00:00:05", new_year - S) == LineTime(new_year + 5 * S, S)
    assert parse_bsd("Foo 99 00:00:05", AT) is None


def test_epochs_are_told_by_their_size() -> None:
    assert parse_any(1_795_410_089) == LineTime(AT, S)
    assert parse_any("1795410089123") == LineTime(AT + 123 * MS, MS)
    assert parse_any(1_795_410_089_123_456) == LineTime(AT + 123_456 * US, US)
    assert parse_any(1_795_410_089_123_456_789) == LineTime(AT + 123_456_789, 1)
    assert parse_any(1_795_410_089.25) == LineTime(AT + 250 * MS, MS)
    assert parse_any(1_795_410_089.123456) == LineTime(AT + 123_456 * US, US)
    assert from_epoch(-1) is None
    assert parse_any(True) is None
    assert parse_any(None) is None


@given(st.one_of(st.text(max_size=60), st.floats(), st.integers(), st.none(), st.lists(st.integers())))
@settings(deadline=None)
def test_nothing_breaks_it_and_what_it_gives_fits_in_64_bits(value: object) -> None:
    parsed = parse_any(value)
    assert parsed is None or (0 <= parsed.ns < 2**63 and parsed.quantum in [10**power for power in range(10)])


@given(st.datetimes(datetime(1971, 1, 1), datetime(2261, 1, 1)))
@settings(deadline=None)
def test_iso_says_what_datetime_says(moment: datetime) -> None:
    expected = round(moment.replace(tzinfo=UTC, microsecond=0).timestamp()) * S + moment.microsecond * US
    parsed = parse_iso(moment.replace(tzinfo=UTC).isoformat())
    assert parsed is not None
    assert parsed.ns == expected
