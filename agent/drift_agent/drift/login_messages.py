"""Logs that tell of logins: messages of sshd, login and the display managers; the log of the session-manager agent.

Anybody may write a line to syslog, under any name. In the journal only fields that begin with `_` are journald's own
word: a message counts where its sender was root and, as far as journald could still see it, the program that it says.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from drift_agent.drift.login_records import (
    CONSOLE,
    LOCAL_SERVICES,
    NAMED_SERVICES,
    NO_ADDRESS,
    Login,
    address_of,
)
from drift_agent.units import SECOND

SESSION_MANAGER: Final = "session-manager"

_ACCEPTED: Final = re.compile(r"Accepted (\S{1,40}) for (.{1,256}?) from (\S{1,64}) port \d+")
_DROPBEAR: Final = re.compile(r".{1,24} auth succeeded for '(.{1,256}?)' .{0,160}?from (\S{1,64}):\d{1,5}$")
_SERVICE: Final = "|".join([*LOCAL_SERVICES, *NAMED_SERVICES, r"gdm-[\w-]{1,24}"])
_SESSION: Final = re.compile(rf"pam_unix\(({_SERVICE}):session\): session opened for user ([^\s(]{{1,256}})")

_GDM: Final = ("gdm-password", "gdm-autologin", "gdm-fingerprint", "gdm-smartcard")
PROGRAMS: Final = {
    "sshd": ("sshd",),
    "sshd-session": ("sshd-session",),
    "dropbear": ("dropbear",),
    "login": ("login",),
    "remote": ("login",),
    "cockpit-session": ("cockpit-session",),
    "lightdm": ("lightdm",),
    "sddm-helper": ("sddm-helper",),
    "xdm": ("xdm",),
    "xrdp-sesman": ("xrdp-sesman",),
    **{name: ("gdm-session-wor",) for gdm in _GDM for name in (gdm, f"{gdm}]")},
}
"""The syslog identifiers whose messages are read, each with the process names (at most 15 bytes) that may use it.

gdm's is cut out of `gdm-session-worker [pam/gdm-password]`, behind the slash.
"""

MESSAGES: Final = "^Accepted | auth succeeded for |session opened for user"
"""What their messages hold, as a regular expression for `journalctl --grep`."""

FIELDS: Final = ("MESSAGE", "SYSLOG_IDENTIFIER", "_UID", "_COMM")
"""The fields of an entry of the journal that are looked at, besides its time."""


def parse_message(identifier: str, message: str, at: int) -> Login | None:
    """The login that a message tells of, if it is one of a program that would know."""
    if identifier in ("sshd", "sshd-session"):
        accepted = _ACCEPTED.match(message)
        return _from_network(accepted.group(2), accepted.group(3), at) if accepted else None
    if identifier == "dropbear":
        succeeded = _DROPBEAR.match(message)
        return _from_network(succeeded.group(1), succeeded.group(2), at) if succeeded else None
    session = _SESSION.match(message)
    if session is None or identifier not in PROGRAMS:
        return None
    service, user = session.group(1), session.group(2)
    return Login(user, service, service, at) if service in NAMED_SERVICES else Login(user, CONSOLE, "console", at)


def _from_network(user: str, host: str, at: int) -> Login:
    return Login(user, CONSOLE if host == NO_ADDRESS else address_of(host) or host, "ssh", at)


# ----------------------------------------------------------------------------------------- auth.log, secure

_AUTH_LINE: Final = re.compile(
    r"(?:(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<bsd>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)) \S{1,255} (?P<name>[\w.-]{1,48}\]?)(?:\[\d+\])?: (?P<message>.*)"
)


def parse_auth_line(line: bytes, now: datetime) -> Login | None:
    """The login that a line of auth.log or secure tells of.

    `now` gives the year that the older form leaves out, and its zone: such a line is at most a day in the future.
    A `now` without a zone is in this machine's.
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


# -------------------------------------------------------------------------------------------------- journal


def parse_journal_line(line: bytes) -> Login | None:
    """The login that a line of `journalctl -o json` tells of, if journald itself says who wrote it.

    `_COMM` is missing where the sender had ended before journald looked; its user id never is.
    """
    try:
        entry = json.loads(line)
        identifier, message = entry["SYSLOG_IDENTIFIER"], entry["MESSAGE"]
        at = int(entry["__REALTIME_TIMESTAMP"]) * 1000
        uid, program = entry["_UID"], entry.get("_COMM")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not isinstance(identifier, str) or not isinstance(message, str):  # bytes that are no text come as a list
        return None
    if uid != "0" or not (program is None or program in PROGRAMS.get(identifier, ())):
        return None
    # an escape of JSON can name half of a pair of surrogates, which is no text that could be written down
    return parse_message(identifier, message.encode("utf-8", "replace").decode(), at)


# ------------------------------------------------------------------------------------------ session manager

_SSM_LINE: Final = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) \w+ .{0,96}?"
    r"\[ssm-session-worker\] \[(?P<session>[\w.@=,+-]{1,128})\]"
)


def parse_session_line(line: bytes, now: datetime) -> Login | None:
    """The session that a line of amazon-ssm-agent.log tells of; its id begins with who opened it.

    The agent writes times in its machine's zone: that of `now`, which has none where it is this machine.
    """
    match = _SSM_LINE.match(line.decode("utf-8", "replace"))
    if match is None:
        return None
    try:
        at = _nanoseconds(datetime.fromisoformat(match.group("time")).replace(tzinfo=now.tzinfo))
    except (ValueError, OverflowError):
        return None
    session = match.group("session")
    return Login(session.rpartition("-")[0] or session, SESSION_MANAGER, SESSION_MANAGER, at)
