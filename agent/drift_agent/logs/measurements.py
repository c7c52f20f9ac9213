"""What the logs become: counts of access logs, lines of syslog, and what was counted of the reading itself."""

from collections.abc import Mapping
from typing import Final

from drift_agent.schema import Field, Measurement, fields

ACCESS: Final = Measurement(
    "access",
    "Requests of an interval, by what became of them; only series with requests are sent.",
    ("log", "verb", "status", "route"),
    {
        "requests": Field("i", "1", "requests of the interval: their sum is the total"),
        "bytes": Field("i", "bytes", "of the bodies sent"),
        **{f"time_{part}": Field("f", "s", "of the request times, where logged") for part in ("p50", "p95", "p99")},
    },
)
ACCESS_TIME: Final = Measurement(
    "access_time",
    "Histogram of the request times of an interval, cumulative: `le` is the upper bound in seconds, or `+Inf`.",
    ("log", "route", "le"),
    {"requests": Field("i", "1", "requests that took at most `le`")},
)
SYSLOG: Final = Measurement(
    "syslog",
    "Log lines as they are, of the chosen severities; also of error logs and the journal.",
    ("severity", "facility", "hostname", "appname", "source"),
    {
        "version": Field("i", "1", "of the syslog protocol, where the line has one"),
        "severity_code": Field("i", "1", "0 emerg … 7 debug"),
        "facility_code": Field("i", "1"),
        "timestamp": Field("i", "ns", "as the line says"),
        "message": Field("s", ""),
        "procid": Field("s", ""),
        "msgid": Field("s", ""),
        "repeats": Field("i", "1", "further lines like this one in the same interval, where there were some"),
    },
)
LOG_LINES: Final = Measurement(
    "log_lines",
    "Lines of an interval by severity, whether they were shipped or not; only where above 0.",
    ("log", "severity"),
    {"lines": Field("i", "1", "lines of the interval: their sum is the total")},
)
INTERNAL_LOGS: Final = Measurement(
    "internal_logs",
    "What was read of the logs since start.",
    ("log",),
    {
        **fields("i", "1", "lines"),
        "unparsed": Field("i", "1", "lines that are not of the section's format"),
        "cut": Field("i", "1", "lines over 64 KiB, cut there"),
        "folded": Field("i", "1", "lines beyond a section's 1,000 series, counted as `other`"),
        "dropped": Field("i", "1", "lines beyond the rate at which raw lines are shipped"),
    },
)

MEASUREMENTS: Final[Mapping[str, Measurement]] = {
    one.name: one for one in (ACCESS, ACCESS_TIME, SYSLOG, LOG_LINES, INTERNAL_LOGS)
}
"""Those with a declaration; JSON and regex sections make measurements of their own names."""
