"""One line of a log of messages → its parts: syslog (RFC 5424, RFC 3164), nginx's and Apache's error logs.

Pure, and total: what is not of the format gives None.
"""

import re
from dataclasses import dataclass
from typing import Final

from drift_agent.logs.severity import DEFAULT_PRIORITY, severity_code
from drift_agent.logs.stamps import LineTime
from drift_agent.logs.times import parse_apache, parse_bsd, parse_iso

DAEMON: Final = 3


@dataclass(frozen=True, slots=True)
class Message:
    """A line of a log of messages. Strings that the line lacks are empty."""

    message: str
    severity: int
    facility: int
    time: LineTime | None = None
    hostname: str = ""
    appname: str = ""
    procid: str = ""
    msgid: str = ""
    version: int | None = None


_PRIORITY: Final = re.compile(r"<(\d{1,3})>")
_RFC5424: Final = re.compile(
    r"(\d{1,2}) (\S{1,64}) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) "
    r"(?:-|(?:\[[^\]\"]*+(?:\"(?:[^\"\\]|\\.)*+\"[^\]\"]*+)*+\])++)(?: \ufeff?(.*))?",
    re.DOTALL,
)
_STAMP: Final = re.compile(
    r"(?:[A-Za-z]{3} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) "
)
_HOST: Final = re.compile(r"(\S{1,255}) ")
_TAG: Final = re.compile(r"([^\s\[\]:]{1,64})(?:\[([^\]\s]{1,64})\])?: ?")


def parse_syslog(line: str, now_ns: int) -> Message | None:
    """RFC 5424, RFC 3164, and what rsyslog writes to files: the latter two with or without a priority."""
    match = _PRIORITY.match(line)
    priority = int(match.group(1)) if match is not None else DEFAULT_PRIORITY
    if priority > 191:
        return None
    rest = line[match.end() :] if match is not None else line
    if match is not None:
        parsed = _RFC5424.fullmatch(rest)
        if parsed is not None:
            return _rfc5424(parsed, priority)
    return _rfc3164(rest, priority, now_ns)


def _rfc5424(match: re.Match[str], priority: int) -> Message:
    version, stamp, hostname, appname, procid, msgid, message = match.groups()
    return Message(
        message or "", priority % 8, priority // 8, parse_iso(stamp), _given(hostname), _given(appname),
        _given(procid), _given(msgid), int(version),
    )  # fmt: skip


def _given(text: str) -> str:
    return "" if text == "-" else text


def _rfc3164(rest: str, priority: int, now_ns: int) -> Message | None:
    stamp = _STAMP.match(rest)
    if stamp is None:
        return None
    text = stamp.group()
    time = parse_iso(text) if text[0].isdigit() else parse_bsd(text, now_ns)
    host = _HOST.match(rest, stamp.end())
    if host is None:
        return None
    tag = _TAG.match(rest, host.end())
    appname, procid = tag.groups() if tag is not None else ("", "")
    message = rest[tag.end() if tag is not None else host.end() :]
    return Message(message, priority % 8, priority // 8, time, host.group(1), appname, procid or "")


_NGINX: Final = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w{1,16})\] (\d{1,10})#\d{1,10}: (.*)", re.DOTALL)


def parse_nginx_error(line: str, now_ns: int) -> Message | None:
    """`2026/11/23 05:01:29 [error] 7#8: *9 open() "/x" failed, client: …`; the process is `procid`."""
    del now_ns
    match = _NGINX.fullmatch(line)
    code = severity_code(match.group(2)) if match is not None else None
    if match is None or code is None:
        return None
    return Message(match.group(4), code, DAEMON, parse_iso(match.group(1)), procid=match.group(3))


_APACHE: Final = re.compile(
    r"\[([^\]]{20,40})\] \[(?:[\w.]{0,64}:)?(\w{1,16})\] (?:\[pid (\d{1,10})(?::tid \d{1,20})?\] )?(.*)", re.DOTALL
)
_APACHE_ID: Final = re.compile(r"(?:^|\] )(AH\d{5}): ")


def parse_apache_error(line: str, now_ns: int) -> Message | None:
    """`[Mon Nov 23 05:01:29.123456 2026] [core:error] [pid 7:tid 8] [client …] AH00124: …`; AH… is `msgid`."""
    del now_ns
    match = _APACHE.fullmatch(line)
    code = severity_code(match.group(2)) if match is not None else None
    time = parse_apache(match.group(1)) if match is not None else None
    if match is None or code is None or time is None:
        return None
    number = _APACHE_ID.search(match.group(4)[:512])
    return Message(
        match.group(4), code, DAEMON, time, procid=match.group(3) or "", msgid=number.group(1) if number else ""
    )
