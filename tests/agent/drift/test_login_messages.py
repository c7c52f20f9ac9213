"""Logins as logs tell of them; what is malformed, or was not written by who it says, is no login and never an error."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.login_messages import parse_auth_line, parse_journal_line, parse_message, parse_session_line
from drift_agent.drift.login_records import Login
from drift_agent.units import SECOND

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
ACCEPTED = "Accepted publickey for admin from 203.0.113.7 port 50122 ssh2: ED25519 SHA256:abc"


@pytest.fixture
def in_kolkata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's zone is five and a half hours ahead."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "IST-5:30")
        time.tzset()
        yield
    time.tzset()


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


PUBLIC_KEY = "with ssh-ed25519 key SHA256:abc from"


@pytest.mark.parametrize(
    ("identifier", "message", "expected"),
    [
        ("sshd", ACCEPTED, ("admin", "203.0.113.7", "ssh")),
        ("sshd-session", "Accepted password for root from 2001:DB8::07 port 22 ssh2", ("root", "2001:db8::7", "ssh")),
        ("sshd", "Accepted password for root from ::ffff:203.0.113.7 port 22 ssh2", ("root", "203.0.113.7", "ssh")),
        ("sshd", "Accepted password for EXAMPLE\\jane doe from ::1 port 22 ssh2", ("EXAMPLE\\jane doe", "::1", "ssh")),
        ("sshd", "Accepted publickey for a from UNKNOWN port 65535 ssh2: x", ("a", "console", "ssh")),
        ("sshd", "Failed password for root from 203.0.113.7 port 22 ssh2", None),
        ("sshd", "Invalid user Accepted password for root from 1.2.3.4 port 22 from 5.6.7.8", None),
        ("sshd", "pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)", None),
        ("nginx", ACCEPTED, None),
        ("dropbear", f"Pubkey auth succeeded for 'a' {PUBLIC_KEY} 2001:db8::7:5022", ("a", "2001:db8::7", "ssh")),
        ("dropbear", "Password auth succeeded for 'a' from 203.0.113.7:50122", ("a", "203.0.113.7", "ssh")),
        ("dropbear", "Bad password attempt for 'a' from 203.0.113.7:50122", None),
        ("sudo", "pam_unix(sudo:session): session opened for user root(uid=0) by admin(uid=1000)", None),
        ("sudo", "pam_unix(sudo-i:session): session opened for user root(uid=0) by admin(uid=1000)", None),
        ("su", "pam_unix(su-l:session): session opened for user admin(uid=1000) by (uid=0)", None),
        ("CRON", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)", None),
        ("(systemd)", "pam_unix(systemd-user:session): session opened for user admin(uid=1000) by (uid=0)", None),
        ("(kiosk)", "pam_unix(login:session): session opened for user kiosk(uid=1000) by (uid=0)", None),
        (
            "login",
            "pam_unix(login:session): session opened for user root(uid=0) by LOGIN(uid=0)",
            ("root", "console", "console"),
        ),
        (
            "gdm-password]",
            "pam_unix(gdm-password:session): session opened for user eve by (uid=0)",
            ("eve", "console", "console"),
        ),
        (
            "cockpit-session",
            "pam_unix(cockpit:session): session opened for user eve(uid=1000) by (uid=0)",
            ("eve", "cockpit", "cockpit"),
        ),
    ],
)
def test_a_message_is_a_login_where_its_program_would_know(
    identifier: str, message: str, expected: tuple[str, str, str] | None
) -> None:
    assert parse_message(identifier, message, 9) == (Login(*expected, 9) if expected else None)


ENTRY = {
    "SYSLOG_IDENTIFIER": "sshd",
    "MESSAGE": ACCEPTED,
    "_UID": "0",
    "_COMM": "sshd",
    "__REALTIME_TIMESTAMP": "1700000000123456",
}


def test_lines_of_the_journal() -> None:
    expected = Login("admin", "203.0.113.7", "ssh", 1700000000123456000)
    assert parse_journal_line(json.dumps(ENTRY).encode()) == expected
    assert parse_journal_line(json.dumps({**ENTRY, "MESSAGE": [255, 0]}).encode()) is None
    assert parse_journal_line(b'{"MESSAGE":') is None
    assert parse_journal_line(b"[" * 100_000) is None
    assert parse_journal_line(b"7") is None
    half = {**ENTRY, "MESSAGE": ENTRY["MESSAGE"].replace("admin", "ad\ud800min")}
    assert parse_journal_line(json.dumps(half).encode()) == replace(expected, user="ad?min")


@pytest.mark.parametrize(
    ("fields", "who"),
    [
        ({"_UID": "1000"}, "a user who says to be sshd"),
        ({"_UID": "1000", "_COMM": "sshd"}, "a user with a program of that name"),
        ({"_COMM": "rsyslogd"}, "what another machine sent"),
        ({"_COMM": "dockerd"}, "a container's sshd"),
        ({"_COMM": "login"}, "another program's message"),
        ({"_UID": ["0", "1000"]}, "a field that came twice"),
        ({"_COMM": ["sshd", "x"]}, "a field that came twice"),
        ({"_UID": None}, "nobody knows whom"),
    ],
)
def test_an_entry_counts_by_what_journald_says_of_its_sender(fields: dict[str, object], who: str) -> None:
    assert parse_journal_line(json.dumps({**ENTRY, **fields}).encode()) is None, who


def test_a_sender_that_had_ended_before_journald_looked_has_no_name() -> None:
    entry = {key: value for key, value in ENTRY.items() if key != "_COMM"}
    assert parse_journal_line(json.dumps(entry).encode()) is not None
    assert parse_journal_line(json.dumps({**entry, "_UID": "1000"}).encode()) is None


def test_an_entry_without_an_owner_is_nobodys() -> None:
    assert parse_journal_line(json.dumps({k: v for k, v in ENTRY.items() if k != "_UID"}).encode()) is None


# What ssm-session-worker writes (agent/framework/processor/executer/outofproc/sessionworker of amazon-ssm-agent); the
# ids are `NAME-` and 17 hexadecimal digits, of late 26 letters and digits, NAME being the user or the role's session.
@pytest.mark.parametrize(
    ("line", "user"),
    [
        ("2026-01-02 01:00:00 INFO [ssm-session-worker] [jane.doe-0a1b2c3d4e5f60718] document: worker", "jane.doe"),
        ("2026-01-02 01:00:00.1234 INFO [ssm-session-worker] [jane@x.org-ab2c] [DataBackend] x", "jane@x.org"),
        ("2026-01-02 01:00:00.1234 INFO [main @ main.go.90] [ssm-session-worker] [eve-ab2c] x", "eve"),
        ("2026-01-02 01:00:00 ERROR [execute @ shell.go.152] [ssm-session-worker] [root-ab2c] [DataBackend] x", "root"),
        ("2026-01-02 01:00:00 INFO [ssm-session-worker] [ecs-execute-command-02f7755870b5] x", "ecs-execute-command"),
        ("2026-01-02 01:00:00 INFO ssm-session-worker - v3.3.1", None),
        ("2026-01-02 01:00:00 INFO [ssm-agent-worker] [MessageService] [jane.doe-ab2c] x", None),
        ("2026-01-02 01:00:00 INFO [ssm-document-worker] [0a1b-2c3d] document: x worker started", None),
        ("2026-13-02 01:00:00 INFO [ssm-session-worker] [jane.doe-ab2c] x", None),
    ],
)  # fmt: skip
def test_lines_of_the_session_manager(line: str, user: str | None) -> None:
    login = parse_session_line(line.encode(), NOW.astimezone(UTC))
    assert (login and login.user) == user
    if login is not None:
        assert (login.source, login.via) == ("session-manager", "session-manager")
        assert login.at // SECOND == 1767315600


@pytest.mark.usefixtures("in_kolkata")
def test_times_without_a_zone_are_in_this_machines() -> None:
    now = NOW.astimezone().replace(tzinfo=None)
    half_past_seven = datetime(2026, 1, 2, 2, tzinfo=UTC)
    session = parse_session_line(b"2026-01-02 07:30:00.0000 INFO [ssm-session-worker] [jane-ab2c] x", now)
    assert session is not None
    assert session.at // SECOND == half_past_seven.timestamp()
    login = parse_auth_line(f"Jan  2 07:30:00 web sshd[7]: {ACCEPTED}".encode(), now)
    assert login is not None
    assert login.at // SECOND == half_past_seven.timestamp()


@given(st.binary(max_size=900))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    parse_auth_line(data, NOW)
    parse_journal_line(data)
    parse_session_line(data, NOW)


@given(st.text(max_size=60))
def test_any_message_behind_a_head_is_read_without_an_error(text: str) -> None:
    parse_auth_line(f"Feb 30 25:61:61 web sshd[1]: {text}".encode(errors="replace"), NOW)
    parse_auth_line(f"2026-02-30T01:00:00Z web sshd[1]: {text}".encode(errors="replace"), NOW)
    parse_session_line(f"9999-99-99 01:00:00 INFO [ssm-session-worker] [{text}]".encode(errors="replace"), NOW)


@given(st.dictionaries(st.sampled_from([*ENTRY]), st.text() | st.integers() | st.lists(st.integers()) | st.none()))
def test_an_entry_with_any_values_is_read_without_an_error(fields: dict[str, object]) -> None:
    parse_journal_line(json.dumps({**ENTRY, **fields}).encode())
