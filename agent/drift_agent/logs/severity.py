"""Severities and facilities of syslog (RFC 5424, section 6.2.1), and what other logs call them."""

from collections.abc import Sequence
from typing import Final

SEVERITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
FACILITIES: Final = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "security", "console", "solaris-cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
)  # fmt: skip
NOTICE: Final = 5
DEFAULT_PRIORITY: Final = 13
"""user.notice: what RFC 3164 (4.3.3) gives to a message that says nothing of it."""

_ALSO: Final = {"emergency": 0, "panic": 0, "critical": 2, "error": 3, "warn": 4, "information": 6, "informational": 6}


def severity_code(name: str) -> int | None:
    """The number of a severity's name, in any spelling that logs have for it; None where it is none."""
    name = name.strip().lower()
    if name in SEVERITIES:
        return SEVERITIES.index(name)
    if name.startswith("trace"):
        return len(SEVERITIES) - 1
    return _ALSO.get(name)


def chosen_severities(names: Sequence[str]) -> frozenset[int]:
    """The codes of `names`; of none, all.

    Raises:
        ValueError: one of them is no severity.
    """
    codes = [severity_code(name) for name in names]
    for name, code in zip(names, codes, strict=True):
        if code is None:
            raise ValueError(f"{name!r} is no severity: allowed are {', '.join(SEVERITIES)}")
    return frozenset(code for code in codes if code is not None) or frozenset(range(len(SEVERITIES)))
