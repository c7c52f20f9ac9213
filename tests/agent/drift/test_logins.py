"""Who logged in, from every source that a machine may have."""

import json
import shutil
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from drift_agent.drift import logins
from drift_agent.drift.logins import Logins, run_journalctl
from fakes import FakeClock
from waiting import PATIENCE

FIRST_BOOT = 1_700_000_000


def iso(second: int) -> str:
    return datetime.fromtimestamp(FIRST_BOOT + second, UTC).isoformat()


def accepted(second: int, user: str = "admin", source: str = "203.0.113.7") -> str:
    return f"{iso(second)} web sshd[7]: Accepted publickey for {user} from {source} port 50122 ssh2: x\n"


class Host:
    """A root with logs, and what was found on it."""

    def __init__(self, root: Path, allowed: Sequence[str] = ()) -> None:
        self.root = root
        (root / "var/log/amazon/ssm").mkdir(parents=True)
        self.auth = root / "var/log/auth.log"
        self.clock = FakeClock((FIRST_BOOT + 3600) * 10**9)
        self.journal: list[bytes] | None = []
        self.greps = True
        self.asked: list[Sequence[str]] = []
        self.logins = Logins(
            str(root),
            self.clock,
            since=FIRST_BOOT * 10**9,
            allowed=allowed,
            run_journal=self.run_journal,
            machine="x86_64",
        )

    def run_journal(self, arguments: Sequence[str], _: Event) -> Iterable[bytes] | None:
        self.asked.append(arguments)
        refused = not self.greps and any(argument.startswith("--grep") for argument in arguments)
        return None if refused else self.journal

    def keys(self) -> list[str]:
        changes, unreadable = self.logins.look(Event())
        assert not unreadable
        assert all((change.kind, change.change) == ("login", "added") for change in changes)
        return [change.key for change in changes]


def test_a_machine_without_any_source_has_no_logins(tmp_path: Path) -> None:
    assert Host(tmp_path).keys() == []


def test_a_login_over_ssh_says_who_from_where_when_and_how(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.auth.write_text(accepted(10))
    changes, _ = host.logins.look(Event())
    assert changes[0].key == "admin@203.0.113.7"
    assert changes[0].severity == "high"
    assert changes[0].actual == {"via": "ssh", "at": "2023-11-14T22:13:30Z"}


def test_what_is_older_than_the_first_boot_was_the_image_builder(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.auth.write_text(accepted(-10, "builder") + accepted(10))
    assert host.keys() == ["admin@203.0.113.7"]


def test_automation_may_come(tmp_path: Path) -> None:
    host = Host(tmp_path, allowed=["deploy", "ci-*"])
    host.auth.write_text(accepted(10, "deploy") + accepted(11, "ci-7") + accepted(12, "root"))
    assert host.keys() == ["root@203.0.113.7"]


def test_a_record_that_claims_any_time_is_told(tmp_path: Path) -> None:
    host = Host(tmp_path)
    entry = {
        "SYSLOG_IDENTIFIER": "sshd",
        "MESSAGE": "Accepted x for eve from ::1 port 5",
        "__REALTIME_TIMESTAMP": 2**62,
    }
    host.journal = [json.dumps(entry).encode()]
    changes, _ = host.logins.look(Event())
    assert changes[0].actual["at"] == "9999-12-31T23:59:59Z"


def test_only_what_was_appended_is_read_again_across_rotation(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.auth.write_text(accepted(10))
    assert host.keys() == ["admin@203.0.113.7"]
    assert host.keys() == []
    with host.auth.open("a") as file:
        file.write(accepted(20, "late") + accepted(21, "half")[:30])
    assert host.keys() == ["late@203.0.113.7"]
    with host.auth.open("a") as file:
        file.write(accepted(21, "half")[30:])
    host.auth.rename(f"{host.auth}.1")
    host.auth.write_text(accepted(30, "new"))
    assert host.keys() == ["half@203.0.113.7", "new@203.0.113.7"]


def test_a_log_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path)

    def refuse() -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(host.logins._auth[0], "read", refuse)
    _, unreadable = host.logins.look(Event())
    assert [(one.kind, one.key, one.error) for one in unreadable] == [
        ("login", "/var/log/auth.log", "Permission denied")
    ]


def test_the_journal_is_asked_from_first_boot_and_then_from_the_last_time(tmp_path: Path) -> None:
    host = Host(tmp_path)
    message = "Accepted publickey for eve from 198.51.100.1 port 5 ssh2"
    entry = {"SYSLOG_IDENTIFIER": "sshd-session", "MESSAGE": message, "__REALTIME_TIMESTAMP": "1700000100000000"}
    host.journal = [json.dumps(entry).encode()]
    assert host.keys() == ["eve@198.51.100.1"]
    assert host.asked[0][0] == f"--since=@{FIRST_BOOT}"
    host.clock.advance(60.0)
    host.keys()
    assert host.asked[1][0] == f"--since=@{FIRST_BOOT + 3600 - 120}"


def test_a_journal_that_cannot_grep_is_asked_without(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.greps = False
    host.keys()
    host.keys()
    greps = [any(argument.startswith("--grep") for argument in arguments) for arguments in host.asked]
    assert greps == [True, False, False]


def test_a_journal_that_cannot_be_asked_is_said(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.journal = None
    assert host.keys() == [], "there is no journal"
    (tmp_path / "var/log/journal").mkdir()
    _, unreadable = host.logins.look(Event())
    assert [(one.kind, one.key) for one in unreadable] == [("login", "journal")]


def test_the_real_journalctl_takes_the_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "JOURNAL_SECONDS", 10 * PATIENCE)  # of however large a journal this machine has
    host = Host(tmp_path)
    host.keys()
    lines = run_journalctl(host.asked[0], Event())
    assert (lines is None) == (shutil.which("journalctl") is None)
    assert all(line.startswith(b"{") for line in lines or ())


def test_a_journalctl_that_hangs_is_ended_with_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "journalctl"
    slow.write_text("#!/bin/sh\nexec sleep 9999\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(logins, "JOURNAL_SECONDS", 10 * PATIENCE)
    stop = Event()
    stop.set()
    began = time.monotonic()
    assert run_journalctl([], stop) is None
    assert time.monotonic() - began < PATIENCE
