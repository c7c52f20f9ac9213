"""Records of interactive logins, as each of their sources writes them. Pure, and wary: anybody may write a log line.

Sources: utmp(5) for both layouts of glibc; messages of sshd, login and the display managers; the log of the
session-manager agent.
"""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = 1_000_000_000
USER_PROCESS: Final = 7
"""`ut_type` of somebody who is logged in; the others are gettys, boots and ends."""

MAX_LINE_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Login:
    """Who came (`user`), from where (`source`: an address, or a line such as `tty1`), how (`via`), when (Unix ns)."""

    user: str
    source: str
    via: str
    at: int


# --------------------------------------------------------------------------------------------- utmp, wtmp

_SHORT: Final = struct.Struct("=h2xi32s4s32s256s4siii16s20s")
_LONG: Final = struct.Struct("=h2xi32s4s32s256s4sqqq16s20s4x")
"""Where `time_t` was 64 bits wide from the beginning (arm64, riscv64) the record is of 400 bytes, else of 384."""


def record_size(machine: str) -> int:
    """Bytes of a record on a machine (`os.uname().machine`)."""
    return _layout(machine).size


def parse_utmp(data: bytes, machine: str) -> Iterator[Login]:
    """The logins among whole records; what is left at the end is not looked at."""
    layout = _layout(machine)
    for position in range(0, len(data) - layout.size + 1, layout.size):
        kind, _, line, _, user, host, _, _, seconds, microseconds, _, _ = layout.unpack_from(data, position)
        name, place = _text(user), _text(line)
        if kind == USER_PROCESS and name:
            source = _text(host) or place
            via = "console" if place.startswith(("tty", "hvc", "console")) else "terminal"
            yield Login(name, source, via, seconds * SECOND + microseconds * 1000)


def _layout(machine: str) -> struct.Struct:
    return _LONG if machine.startswith(("aarch64", "arm64", "riscv64", "loongarch64")) else _SHORT


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace").strip()


# ------------------------------------------------------------------------------------------ syslog, journal

_ACCEPTED: Final = re.compile(r"Accepted (\S{1,40}) for (\S{1,64}) from (\S{1,64}) port \d+")
_SESSION: Final = re.compile(
    r"pam_unix\((login|remote|cockpit|gdm[\w-]*|lightdm|sddm|xdm):session\): session opened for user ([^\s(]{1,64})"
)
_SSHD: Final = frozenset({"sshd", "sshd-session"})
_CONSOLES: Final = frozenset({"login", "remote", "cockpit-session", "lightdm", "sddm", "xdm"})
IDENTIFIERS: Final = (*sorted(_SSHD), *sorted(_CONSOLES), "gdm-password", "gdm-session-worker")
"""The syslog identifiers whose messages are read."""

MESSAGES: Final = "^Accepted |session opened for user"
"""What their messages hold, as a regular expression for `journalctl --grep`."""


def parse_message(identifier: str, message: str, at: int) -> Login | None:
    """The login that a message tells of, if it is one of a program that would know."""
    if identifier in _SSHD:
        accepted = _ACCEPTED.match(message)
        return Login(accepted.group(2), accepted.group(3), "ssh", at) if accepted else None
    session = _SESSION.match(message)
    if session is None or identifier not in IDENTIFIERS:
        return None
    service = session.group(1)
    return Login(session.group(2), service if service != "login" else "console", "console", at)


_AUTH_LINE: Final = re.compile(
    r"(?:(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<bsd>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)) \S{1,255} (?P<name>[\w.-]{1,48})(?:\[\d+\])?: (?P<message>.*)"
)


def parse_auth_line(line: bytes, now: datetime) -> Login | None:
    """The login that a line of auth.log or secure tells of.

    `now` gives the year that the older form leaves out, and its zone: such a line is at most a day in the future.
    """
    match = _AUTH_LINE.match(line.decode("utf-8", "replace"))
    if match is None:
        return None
    when = _time_of(match.group("iso"), match.group("bsd"), now)
    return parse_message(match.group("name"), match.group("message"), when) if when is not None else None


def _time_of(iso: str | None, bsd: str | None, now: datetime) -> int | None:
    try:
        if iso is not None:
            return _nanoseconds(datetime.fromisoformat(iso))
        for year in (now.year, now.year - 1):
            moment = datetime.strptime(f"{year} {bsd}", "%Y %b %d %H:%M:%S").replace(tzinfo=now.tzinfo)
            if moment <= now + timedelta(days=1):
                return _nanoseconds(moment)
    except (ValueError, OverflowError):
        pass
    return None


def _nanoseconds(moment: datetime) -> int:
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1000


def parse_journal_line(line: bytes) -> Login | None:
    """The login that a line of `journalctl -o json` tells of."""
    try:
        entry = json.loads(line)
        identifier, message = entry["SYSLOG_IDENTIFIER"], entry["MESSAGE"]
        at = int(entry["__REALTIME_TIMESTAMP"]) * 1000
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(identifier, str) or not isinstance(message, str):  # bytes that are no text come as a list
        return None
    return parse_message(identifier, message, at)


# ---------------------------------------------------------------------------------------- session manager

_SSM_LINE: Final = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) \w+ .{0,40}"
    r"\[ssm-session-worker\] \[(?P<session>[\w.@=,+-]{1,96})\]"
)


def parse_session_line(line: bytes, now: datetime) -> Login | None:
    """The session that a line of amazon-ssm-agent.log tells of; its id begins with who opened it."""
    match = _SSM_LINE.match(line.decode("utf-8", "replace"))
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match.group("time")).replace(tzinfo=now.tzinfo)
        at = _nanoseconds(moment)
    except (ValueError, OverflowError):
        return None
    session = match.group("session")
    return Login(session.rpartition("-")[0] or session, "session-manager", "session-manager", at)
