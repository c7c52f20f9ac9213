"""Who logged in, from every source that a machine may have."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pytest

from drift_agent.drift.first_boot import booted_at
from drift_agent.drift.login_journal import Answer
from drift_agent.drift.logins import Logins
from drift_agent.model import Unreadable
from fakes import FakeClock
from waiting import PATIENCE

FIRST_BOOT = 1_700_000_000


def iso(second: int) -> str:
    return datetime.fromtimestamp(FIRST_BOOT + second, UTC).isoformat()


def accepted(second: int, user: str = "admin", source: str = "203.0.113.7") -> str:
    return f"{iso(second)} web sshd[7]: Accepted publickey for {user} from {source} port 50122 ssh2: x\n"


class Host:
    """A root with logs, and what was found on it. Its journal is what `journal` holds, and goes back to `begins`."""

    def __init__(self, root: Path, allowed: Sequence[str] = ()) -> None:
        self.root = root
        (root / "var/log/amazon/ssm").mkdir(parents=True)
        self.auth = root / "var/log/auth.log"
        self.clock = FakeClock((FIRST_BOOT + 3600) * 10**9)
        self.journal: list[bytes] | None = []
        self.complaint = ""
        self.begins = 2**62
        self.asked: list[Sequence[str]] = []
        self.booted = FIRST_BOOT * 10**9
        self.logins = Logins(
            str(root),
            self.clock,
            since=FIRST_BOOT * 10**9,
            allowed=allowed,
            run_journal=self.run_journal,
            booted=lambda _: self.booted,
            machine="x86_64",
        )

    def run_journal(self, arguments: Sequence[str], _: Event) -> Answer | None:
        if "--reverse" in arguments:
            (until,) = (argument for argument in arguments if argument.startswith("--until=@"))
            return Answer([b"{}"] if self.begins <= int(until.removeprefix("--until=@")) else [])
        self.asked.append(arguments)
        return None if self.journal is None else Answer(self.journal, self.complaint)

    def log(self, message: str, *, second: int = 100, uid: str = "0", program: str = "sshd") -> None:
        """An entry of the journal."""
        entry = {
            "SYSLOG_IDENTIFIER": "sshd",
            "MESSAGE": message,
            "_UID": uid,
            "_COMM": program,
            "__REALTIME_TIMESTAMP": str((FIRST_BOOT + second) * 10**6),
        }
        self.journal = [*(self.journal or []), json.dumps(entry).encode()]

    def told(self) -> list[str]:
        changes, unreadable = self.logins.look(Event())
        assert not unreadable
        assert all((change.kind, change.change) == ("login", "added") for change in changes)
        return [change.key for change in changes]


def test_a_machine_without_any_source_has_no_logins(tmp_path: Path) -> None:
    assert Host(tmp_path).told() == []


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
    assert host.told() == ["admin@203.0.113.7"]


def test_automation_may_come(tmp_path: Path) -> None:
    host = Host(tmp_path, allowed=["deploy", "ci-*"])
    host.auth.write_text(accepted(10, "deploy") + accepted(11, "ci-7") + accepted(12, "root"))
    assert host.told() == ["root@203.0.113.7"]


def test_a_record_that_claims_any_time_is_told(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.log("Accepted x for eve from ::1 port 5", second=2**60)
    changes, _ = host.logins.look(Event())
    assert changes[0].actual["at"] == "9999-12-31T23:59:59Z"


def test_a_clock_that_was_ahead_at_first_boot_hides_nobody(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.booted = (FIRST_BOOT - 7200) * 10**9  # as the clock says now, after it was set back
    host.log("Accepted publickey for eve from 198.51.100.1 port 5 ssh2", second=-3600)
    assert host.told() == ["eve@198.51.100.1"]
    assert host.asked[0][0] == f"--since=@{FIRST_BOOT - 7200}"


def test_this_machine_booted_when_its_first_process_began() -> None:
    """The uptime that a container sees is its host's; only the age of its first process is its own."""
    assert booted_at(time.time_ns()) / 1e9 == pytest.approx(psutil.Process(1).create_time(), abs=PATIENCE)


def test_only_what_was_appended_is_read_again_across_rotation(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.auth.write_text(accepted(10))
    assert host.told() == ["admin@203.0.113.7"]
    assert host.told() == []
    with host.auth.open("a") as file:
        file.write(accepted(20, "late") + accepted(21, "half")[:30])
    assert host.told() == ["late@203.0.113.7"]
    with host.auth.open("a") as file:
        file.write(accepted(21, "half")[30:])
    host.auth.rename(f"{host.auth}.1")
    host.auth.write_text(accepted(30, "new"))
    assert host.told() == ["half@203.0.113.7", "new@203.0.113.7"]


def test_a_log_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path)

    def refuse() -> Iterable[bytes]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(host.logins._auth["var/log/auth.log"], "read", refuse)
    _, unreadable = host.logins.look(Event())
    assert [(one.kind, one.key, one.error) for one in unreadable] == [
        ("login", "/var/log/auth.log", "Permission denied")
    ]


def test_a_journal_that_cannot_be_asked_is_said(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.journal = None
    assert host.told() == [], "there is no journal"
    (tmp_path / "var/log/journal").mkdir()
    _, unreadable = host.logins.look(Event())
    assert [(one.kind, one.key) for one in unreadable] == [("login", "journal")]


def test_a_journal_of_which_journalctl_would_say_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path)
    file = tmp_path / "var/log/journal/0a1b2c3d/system.journal"
    file.parent.mkdir(parents=True)
    file.touch()
    assert host.told() == []
    real_open = os.open

    def refuse(path: str, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("system.journal"):
            raise PermissionError(13, "Permission denied")
        return real_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    _, unreadable = host.logins.look(Event())
    assert [(one.kind, one.key, one.error) for one in unreadable] == [("login", "journal", "Permission denied")]


def test_a_pipe_in_the_journals_place_is_said_and_not_waited_for(tmp_path: Path) -> None:
    """Who made one would never be seen to come in: nothing would be asked any more."""
    host = Host(tmp_path)
    (tmp_path / "var/log/journal/0a1b2c3d").mkdir(parents=True)
    os.mkfifo(tmp_path / "var/log/journal/0a1b2c3d/system.journal")
    answers: list[list[Unreadable]] = []
    look = Thread(target=lambda: answers.append(host.logins.look(Event())[1]), daemon=True)
    look.start()
    look.join(PATIENCE)
    assert [(one.key, one.error) for (one,) in answers] == [("journal", "its system.journal is no regular file")]


def test_a_root_that_went_is_said(tmp_path: Path) -> None:
    host = Host(tmp_path / "root")
    shutil.rmtree(tmp_path / "root")
    changes, unreadable = host.logins.look(Event())
    assert not changes
    assert {one.key for one in unreadable} == {"/run/utmp", "/run/systemd/sessions"}


class TestWhoeverWritesToSyslog:
    """In auth.log nobody can tell sshd from a user who says to be sshd: the journal can, as far as it goes back."""

    def test_where_the_journal_covers_the_time_it_alone_counts(self, tmp_path: Path) -> None:
        host = Host(tmp_path)
        host.begins = FIRST_BOOT
        host.auth.write_text(accepted(100) + accepted(101, "mallory"))
        host.log("Accepted publickey for admin from 203.0.113.7 port 50122 ssh2: x")
        host.log("Accepted publickey for mallory from 203.0.113.7 port 50122 ssh2: x", uid="1000", program="logger")
        assert host.told() == ["admin@203.0.113.7"]

    def test_what_is_older_than_the_journal_counts_as_auth_log_has_it(self, tmp_path: Path) -> None:
        host = Host(tmp_path)
        host.begins = FIRST_BOOT + 50
        host.auth.write_text(accepted(10, "early") + accepted(49, "eve") + accepted(51, "mallory"))
        assert host.told() == ["early@203.0.113.7", "eve@203.0.113.7"]

    def test_a_line_that_comes_now_with_an_old_stamp_is_of_now(self, tmp_path: Path) -> None:
        host = Host(tmp_path)
        host.begins = FIRST_BOOT + 50
        host.auth.write_text(accepted(10, "early"))
        assert host.told() == ["early@203.0.113.7"]
        with host.auth.open("a") as file:
            file.write(accepted(11, "mallory"))
        assert host.told() == []

    @pytest.mark.parametrize("journal", [[], None])
    def test_without_a_journal_auth_log_is_believed(self, tmp_path: Path, journal: list[bytes] | None) -> None:
        host = Host(tmp_path)
        host.journal = journal
        host.auth.write_text(accepted(10))
        assert host.told() == ["admin@203.0.113.7"]

    def test_of_a_flood_of_users_a_thousand_are_told(self, tmp_path: Path) -> None:
        host = Host(tmp_path)
        host.auth.write_text("".join(accepted(10, f"user-{number}") for number in range(3000)))
        assert len(host.told()) == 1000
        host.auth.write_text(accepted(10))
        assert host.told() == []


def test_a_name_and_an_address_are_one_login(tmp_path: Path) -> None:
    host = Host(tmp_path)
    both = [("admin", "bastion.example.com", 101, "pts/1", None), ("eve", "bastion.example.com", 101, "pts/2", None)]
    wtmpdb(host, both)
    host.log("Accepted publickey for admin from 203.0.113.7 port 50122 ssh2: x")
    assert host.told() == ["admin@203.0.113.7", "eve@bastion.example.com"]


def wtmpdb(host: Host, rows: Sequence[tuple[str, str, int, str, str | None]]) -> None:
    """What wtmpdb has on a host: user, host, second, line, service."""
    file = host.root / "var/lib/wtmpdb/wtmp.db"
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE wtmp(ID INTEGER PRIMARY KEY, Type, User, Login, TTY, RemoteHost, Service)")
        for user, place, second, line, service in rows:
            row = (3, user, (FIRST_BOOT + second) * 10**6, line, place, service)
            connection.execute(
                "INSERT INTO wtmp (Type, User, Login, TTY, RemoteHost, Service) VALUES (?, ?, ?, ?, ?, ?)", row
            )


def test_a_damaged_database_is_said_and_hides_no_other_source(tmp_path: Path) -> None:
    host = Host(tmp_path)
    file = tmp_path / "var/lib/wtmpdb/wtmp.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database")
    host.auth.write_text(accepted(10))
    changes, unreadable = host.logins.look(Event())
    assert [change.key for change in changes] == ["admin@203.0.113.7"]
    assert [(one.kind, one.key) for one in unreadable] == [("login", "/var/lib/wtmpdb/wtmp.db")]


# -------------------------------------------------------------------------------------- captured on real systems

CAPTURED = Path(__file__).parents[2] / "data" / "logins"
BEFORE = 1_795_421_800
"""Before all of them, and after the first of what follows."""

BY_EVERYBODY = {
    "admin@203.0.113.7", "admin@console", "carol@203.0.113.7", "carol@2001:db8:N::7", "carol@console",
    "deploy@203.0.113.7", "root@203.0.113.7", "root@console",
}  # fmt: skip
"""Over SSH with key and password, with and without a terminal, scp, sftp and a tunnel; on the console; and carol by
`machinectl shell`. Not: logins that failed, su, sudo, cron, `systemctl --user`, `PAMName=login`; and not what a user
wrote to syslog in the names of sshd and login."""

SOURCES: dict[str, dict[str, str]] = {
    "debian-12": {"wtmp": "var/log/wtmp", "auth.log": "var/log/auth.log"},
    "debian-13": {"wtmp.db": "var/lib/wtmpdb/wtmp.db", "lastlog2.db": "var/lib/lastlog/lastlog2.db"},
}


def captured(root: Path, system: str, *files: str, journal: bool = True) -> Host:
    """A host with what a real one held after these logins: all of it, or these files."""
    host = Host(root)
    host.logins._since = host.booted = BEFORE * 10**9
    host.clock.now_ns = (BEFORE + 3600) * 10**9
    for name, path in SOURCES[system].items():
        if not files or name in files:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CAPTURED / system / name, root / path)
    if journal:
        host.journal, host.begins = (CAPTURED / system / "journal.jsonl").read_bytes().splitlines(), BEFORE
    return host


def in_network(network: int, keys: set[str]) -> set[str]:
    return {key.replace(":N:", f":{network}:") for key in keys}


@pytest.mark.parametrize(("system", "network"), [("debian-12", 2), ("debian-13", 10)])
def test_each_login_to_a_real_system_is_one_item(tmp_path: Path, system: str, network: int) -> None:
    keys = captured(tmp_path, system).told()
    assert sorted(keys) == sorted(in_network(network, BY_EVERYBODY))


@pytest.mark.parametrize(
    ("system", "network", "files", "missing"),
    [
        ("debian-12", 2, ("nothing",), {"carol@console"}),
        ("debian-13", 10, ("nothing",), {"carol@console"}),
        ("debian-12", 2, ("wtmp",), {"deploy@203.0.113.7", "root@203.0.113.7"}),
        ("debian-13", 10, ("wtmp.db",), {"deploy@203.0.113.7", "root@203.0.113.7"}),
    ],
)
def test_what_a_single_source_of_a_real_system_has(
    tmp_path: Path, system: str, network: int, files: tuple[str, ...], missing: set[str]
) -> None:
    """The journal lacks what came by `machinectl shell`; wtmp and wtmpdb lack who had no terminal."""
    keys = captured(tmp_path, system, *files, journal="nothing" in files).told()
    assert sorted(keys) == sorted(in_network(network, BY_EVERYBODY - missing))


def test_a_real_auth_log_alone_is_believed_with_what_a_user_wrote(tmp_path: Path) -> None:
    keys = set(captured(tmp_path, "debian-12", "auth.log", journal=False).told())
    assert keys - in_network(2, BY_EVERYBODY) == {"eve@192.0.2.67"}


def test_lastlog2_alone_has_the_last_of_each_user(tmp_path: Path) -> None:
    keys = captured(tmp_path, "debian-13", "lastlog2.db", journal=False).told()
    assert sorted(keys) == ["admin@203.0.113.7", "deploy@203.0.113.7", "root@console"]


def test_who_stands_there_is_seen_though_every_log_is_gone(tmp_path: Path) -> None:
    host = captured(tmp_path, "debian-13", "nothing", journal=False)
    sessions = tmp_path / "run/systemd/sessions"
    sessions.mkdir(parents=True)
    shutil.copyfile(CAPTURED / "debian-13/session", sessions / "c21")
    shutil.copyfile(CAPTURED / "debian-13/session-of-a-manager", sessions / "c4")
    os.mkfifo(sessions / "c21.ref")
    assert host.told() == ["admin@203.0.113.7"]
    (tmp_path / "a").mkdir()
    other = captured(tmp_path / "a", "debian-12", "nothing", journal=False)
    (tmp_path / "a/run").mkdir()
    shutil.copyfile(CAPTURED / "debian-12/utmp", tmp_path / "a/run/utmp")
    assert other.told() == ["admin@203.0.113.7"]


def test_a_real_login_by_automation_is_none(tmp_path: Path) -> None:
    host = captured(tmp_path, "debian-13")
    host.logins._allowed = ("deploy", "r??t")
    users = {key.partition("@")[0] for key in host.told()}
    assert users == {"admin", "carol"}


def test_of_a_damaged_journal_the_rest_counts_and_the_damage_is_said(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.begins = FIRST_BOOT
    host.complaint = "Journal file /var/log/journal/0a1b/user-1000.journal is truncated, ignoring file."
    host.log("Accepted publickey for admin from 203.0.113.7 port 50122 ssh2: x")
    host.auth.write_text(accepted(10, "eve"))
    changes, unreadable = host.logins.look(Event())
    assert [change.key for change in changes] == ["eve@203.0.113.7", "admin@203.0.113.7"]
    assert [(one.key, one.error) for one in unreadable] == [("journal", host.complaint)]
