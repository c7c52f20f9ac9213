"""Timestamps as logs write them → `LineTime`. Pure, but for the machine's time zone where a line names none."""

import re
import time
from calendar import timegm
from functools import lru_cache
from typing import Final

from drift_agent.logs.stamps import LineTime
from drift_agent.units import SECOND

_LATEST: Final = 2**63 // SECOND - 1

_MONTHS: Final = {
    name: number
    for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)  # noqa: SIM905
}
_ISO: Final = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?\s?(Z|z|UTC|[+-]\d\d:?\d\d)?"
)
_APACHE: Final = re.compile(r"\w{3} (\w{3}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? (\d{4})")
_CLF: Final = re.compile(r"(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? ([+-]\d{4})")
_BSD: Final = re.compile(r"(\w{3}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?")


@lru_cache(maxsize=1024)
def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int, zone: str) -> int | None:
    """Unix time; None where there is no such day, or not in 64 bits of ns. An empty zone is the machine's."""
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 62 and 1970 <= year < 2262):
        return None
    if not zone:
        return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))
    seconds = timegm((year, month, day, hour, minute, second))
    if zone in ("Z", "z", "UTC"):
        return seconds
    offset = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return seconds + offset if zone[0] == "-" else seconds - offset


def _line_time(seconds: int | None, fraction: str | None) -> LineTime | None:
    if seconds is None or not 0 <= seconds < _LATEST:
        return None
    digits = fraction or ""
    return LineTime(seconds * SECOND + int(digits.ljust(9, "0")), 10 ** (9 - len(digits)))


def parse_iso(text: str) -> LineTime | None:
    """ISO 8601, RFC 3339, and nginx's error log (`2026/11/23 05:01:29`); without a zone it is the machine's."""
    match = _ISO.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    return _line_time(
        _seconds(int(year), int(month), int(day), int(hour), int(minute), int(second), zone or ""), fraction
    )


def parse_apache(text: str) -> LineTime | None:
    """Apache's error log: `Mon Nov 23 05:01:29.123456 2026`, in the machine's zone."""
    match = _APACHE.match(text)
    if match is None:
        return None
    month, day, hour, minute, second, fraction, year = match.groups()
    number = _MONTHS.get(month.lower(), 0)
    return _line_time(_seconds(int(year), number, int(day), int(hour), int(minute), int(second), ""), fraction)


def parse_clf(text: str) -> LineTime | None:
    """The common log format's: `23/Nov/2026:05:01:29 +0000`."""
    match = _CLF.match(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, fraction, zone = match.groups()
    number = _MONTHS.get(month.lower(), 0)
    return _line_time(_seconds(int(year), number, int(day), int(hour), int(minute), int(second), zone), fraction)


def parse_bsd(text: str, now_ns: int) -> LineTime | None:
    """RFC 3164: `Nov 23 05:01:29`, in the machine's zone and the year that brings it closest to `now_ns`."""
    match = _BSD.match(text)
    if match is None:
        return None
    month, day, hour, minute, second, fraction = match.groups()
    number = _MONTHS.get(month.lower(), 0)
    this_year = time.gmtime(now_ns // SECOND).tm_year
    # A line of the last of December is read in January; one from ahead is at most a day ahead.
    for year in (this_year + 1, this_year, this_year - 1):
        seconds = _seconds(year, number, int(day), int(hour), int(minute), int(second), "")
        if seconds is not None and seconds * SECOND <= now_ns + 86400 * SECOND:
            return _line_time(seconds, fraction)
    return None


_EPOCH_UNITS: Final = ((10**11, SECOND), (10**14, 10**6), (10**17, 10**3))


def from_epoch(value: float) -> LineTime | None:
    """A number: seconds, ms, µs or ns since 1970, told by its size. Seconds and ms may have a fraction."""
    if not 0 <= value < 2**63:
        return None
    unit = next((unit for limit, unit in _EPOCH_UNITS if value < limit), 1)
    if isinstance(value, int) or value.is_integer():
        found = LineTime(int(value) * unit, unit)
    else:
        found = _from_fraction(value, unit)
    return found if found.ns < 2**63 else None


def _from_fraction(value: float, unit: int) -> LineTime:
    """A double tells µs apart, no more: the shorter of ms and µs that says the same."""
    millis = value * (unit / 10**6)
    if unit == SECOND and abs(millis - round(millis)) < 1e-3:
        return LineTime(round(millis) * 10**6, 10**6)
    return LineTime(round(value * (unit / 1000)) * 1000, 1000)


def parse_any(value: object) -> LineTime | None:
    """Whatever a `time_key` holds: a number, or text in one of the forms above; None of anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return from_epoch(value)
    if not isinstance(value, str):
        return None
    text = value.strip()[:64]
    if re.fullmatch(r"\d{1,19}(\.\d{1,9})?", text):
        return from_epoch(float(text) if "." in text else int(text))
    return parse_iso(text) or parse_clf(text) or parse_apache(text)
