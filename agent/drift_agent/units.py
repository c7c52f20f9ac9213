"""Durations, sizes and times as people write them. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = 1_000_000_000
"""In ns, which times are counted in."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)")
_SECONDS: Final = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0,
}  # fmt: skip
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB|TB|TiB)?")
_BYTES: Final = {
    "B": 1, "KB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30, "TB": 10**12,
    "TiB": 2**40,
}  # fmt: skip


def parse_duration(text: str) -> float:
    """Seconds of a duration in Telegraf's form: `10s`, `1h30m`, `500ms`; also days and weeks (`7d`).

    Raises:
        ValueError: not of that form.
    """
    position, seconds = 0, 0.0
    while match := _DURATION_PART.match(text, position):
        seconds += float(match.group(1)) * _SECONDS[match.group(2)]
        position = match.end()
    if position == 0 or position != len(text):
        raise ValueError(f"{text!r} is not a duration such as '10s' or '1h30m'")
    return seconds


def parse_size(text: str) -> int:
    """Bytes of a size: `64MiB`, `1GB`, `4096`.

    Raises:
        ValueError: not of that form.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as '64MiB'")
    return int(float(match.group(1)) * _BYTES[match.group(2) or "B"])


def format_duration(seconds: float) -> str:
    """A short form for people: `43s`, `5m`, `2h 5m`, `3d 4h`. Whole units, at most two of them."""
    left = max(0, int(seconds))
    if left < 60:
        return f"{left}s"
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def format_bytes(count: int) -> str:
    """A short form for people, in powers of 1024: `512 B`, `1.5 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def rfc3339(nanoseconds: int | None) -> str | None:
    """`2026-01-31T12:00:00.123456Z`; None for None. Every time that fits in 64 bits has a year with four digits."""
    if nanoseconds is None:
        return None
    moment = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
