"""Logins as their sources write them; what is malformed is no login, and never an error."""

import json
import struct
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.login_records import (
    SECOND,
    Login,
    parse_auth_line,
    parse_journal_line,
    parse_message,
    parse_session_line,
    parse_utmp,
    record_size,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))


def utmp(user: bytes, line: bytes, host: bytes, seconds: int, *, kind: int = 7, machine: str = "x86_64") -> bytes:
    """A record as glibc lays it out on a machine."""
    if machine == "x86_64":
        return struct.pack("=h2xi32s4s32s256s4siii16s20s", kind, 1, line, b"", user, host, b"", 0, seconds, 5, b"", b"")
    return struct.pack("=h2xi32s4s32s256s4sqqq16s20s4x", kind, 1, line, b"", user, host, b"", 0, seconds, 5, b"", b"")


@pytest.mark.parametrize(("machine", "size"), [("x86_64", 384), ("aarch64", 400)])
def test_records_of_both_layouts(machine: str, size: int) -> None:
    assert record_size(machine) == size
    data = b"".join(
        [
            utmp(b"reboot", b"~", b"6.1.0", 100, kind=2, machine=machine),
            utmp(b"LOGIN", b"tty1", b"", 101, kind=6, machine=machine),
            utmp(b"admin", b"pts/0", b"203.0.113.7", 102, machine=machine),
            utmp(b"root", b"tty1", b"", 103, machine=machine),
            utmp(b"admin", b"pts/0", b"", 104, kind=8, machine=machine),
        ]
    )
    assert list(parse_utmp(data + b"cut short", machine)) == [
        Login("admin", "203.0.113.7", "terminal", 102 * SECOND + 5000),
        Login("root", "tty1", "console", 103 * SECOND + 5000),
    ]


ACCEPTED = "Accepted publickey for admin from 203.0.113.7 port 50122 ssh2: ED25519 SHA256:abc"


@pytest.mark.parametrize(
    ("line", "at"),
    [
        (f"2026-01-02T01:00:00.123456+00:00 web sshd[7]: {ACCEPTED}", datetime(2026, 1, 2, 1, tzinfo=UTC)),
        (f"Jan  2 01:00:00 web sshd-session[7]: {ACCEPTED}", datetime(2026, 1, 2, 0, tzinfo=UTC)),
        (f"Dec 31 23:00:00 web sshd[7]: {ACCEPTED}", datetime(2025, 12, 31, 22, tzinfo=UTC)),
    ],
)
def test_lines_of_auth_log_with_and_without_a_year(line: str, at: datetime) -> None:
    login = parse_auth_line(line.encode(), NOW)
    assert login is not None
    assert (login.user, login.source, login.via) == ("admin", "203.0.113.7", "ssh")
    assert login.at // SECOND == at.timestamp()


@pytest.mark.parametrize(
    ("identifier", "message", "expected"),
    [
        ("sshd", "Failed password for root from 203.0.113.7 port 22 ssh2", None),
        ("sshd", "Invalid user Accepted password for root from 1.2.3.4 port 22 from 5.6.7.8", None),
        ("nginx", ACCEPTED, None),
        ("sudo", "pam_unix(sudo:session): session opened for user root(uid=0) by admin(uid=1000)", None),
        ("CRON", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)", None),
        (
            "login",
            "pam_unix(login:session): session opened for user root(uid=0) by LOGIN(uid=0)",
            Login("root", "console", "console", 9),
        ),
        (
            "gdm-password",
            "pam_unix(gdm-password:session): session opened for user eve by (uid=0)",
            Login("eve", "gdm-password", "console", 9),
        ),
    ],
)
def test_messages(identifier: str, message: str, expected: Login | None) -> None:
    assert parse_message(identifier, message, 9) == expected


def test_lines_of_the_journal() -> None:
    entry = {"SYSLOG_IDENTIFIER": "sshd", "MESSAGE": ACCEPTED, "__REALTIME_TIMESTAMP": "1700000000123456"}
    expected = Login("admin", "203.0.113.7", "ssh", 1700000000123456000)
    assert parse_journal_line(json.dumps(entry).encode()) == expected
    assert parse_journal_line(json.dumps({**entry, "MESSAGE": [255, 0]}).encode()) is None
    assert parse_journal_line(b'{"MESSAGE":') is None
    assert parse_journal_line(b"[" * 100_000) is None


def test_lines_of_the_session_manager() -> None:
    line = b"2026-01-02 01:00:00 INFO [ssm-session-worker] [jane.doe-0a1b2c3d4e5f] Session worker started"
    assert parse_session_line(line, NOW.astimezone(UTC)) == Login(
        "jane.doe", "session-manager", "session-manager", 1767315600 * SECOND
    )
    assert parse_session_line(b"2026-01-02 01:00:00 INFO [ssm-agent-worker] started", NOW) is None


@given(st.binary(max_size=900))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    list(parse_utmp(data, "x86_64"))
    list(parse_utmp(data, "aarch64"))
    parse_auth_line(data, NOW)
    parse_journal_line(data)
    parse_session_line(data, NOW)


@given(st.text(max_size=60))
def test_any_message_behind_a_head_is_read_without_an_error(text: str) -> None:
    parse_auth_line(f"Feb 30 25:61:61 web sshd[1]: {text}".encode(errors="replace"), NOW)
    parse_auth_line(f"2026-02-30T01:00:00Z web sshd[1]: {text}".encode(errors="replace"), NOW)
    parse_session_line(f"9999-99-99 01:00:00 INFO [ssm-session-worker] [{text}]".encode(errors="replace"), NOW)
