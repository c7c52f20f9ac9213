"""The journal: what it is asked, from when on, and what journalctl's answer means."""

import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift import login_journal
from drift_agent.drift.login_journal import OVERLAP_NS, Answer, Journal, run_journalctl, unreadable
from drift_agent.drift.login_records import Login
from drift_agent.units import SECOND
from fakes import FakeClock
from waiting import PATIENCE

FIRST_BOOT = 1_700_000_000
NOW = FIRST_BOOT + 3600


def entry(user: str) -> bytes:
    message = f"Accepted publickey for {user} from 203.0.113.7 port 50122 ssh2: x"
    fields = {"SYSLOG_IDENTIFIER": "sshd", "MESSAGE": message, "_UID": "0", "_COMM": "sshd"}
    return json.dumps({**fields, "__REALTIME_TIMESTAMP": str(NOW * 10**6)}).encode()


class Desk:
    """A journal, what journalctl was asked, and what it answers: to a `--grep` too, where it `greps`."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW * SECOND)
        self.journal = Journal(self._run, self.clock)
        self.answer: Answer | None = Answer([])
        self.greps = True
        self.asked: list[Sequence[str]] = []

    def _run(self, arguments: Sequence[str], stop: Event) -> Answer | None:
        self.asked.append(arguments)
        return self.answer if self.greps or not self.grepped[-1] else None

    @property
    def grepped(self) -> list[bool]:
        return [any(argument.startswith("--grep=") for argument in arguments) for arguments in self.asked]

    def users(self) -> list[str] | None:
        found = self.journal.logins(FIRST_BOOT * SECOND, Event())
        return None if found is None else [login.user for login in found[0]]

    def since(self) -> int:
        """From when on it was asked last (Unix s)."""
        (argument,) = (one for one in self.asked[-1] if one.startswith("--since=@"))
        return int(argument.removeprefix("--since=@"))


def login_of(user: str) -> Login:
    return Login(user, "203.0.113.7", "ssh", NOW * SECOND)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_it_is_asked_for_what_root_wrote_from_first_boot_and_then_from_before_the_last_time(desk: Desk) -> None:
    desk.answer = Answer([entry("eve"), b"no entry"], "truncated")
    assert desk.journal.logins(FIRST_BOOT * SECOND, Event()) == ([login_of("eve")], "truncated")
    assert desk.since() == FIRST_BOOT
    assert "_UID=0" in desk.asked[-1]
    desk.clock.advance(60.0)
    assert desk.users() == ["eve"]
    assert desk.since() == NOW - OVERLAP_NS // SECOND


@given(st.lists(st.integers(0, 500), min_size=1, max_size=6))
def test_no_moment_since_first_boot_is_left_out_while_the_clock_goes_on(waits: list[int]) -> None:
    desk = Desk()
    before = FIRST_BOOT
    for wait in waits:
        desk.users()
        assert FIRST_BOOT <= desk.since() <= before
        before = desk.clock.time_ns() // SECOND
        desk.clock.advance(wait)


@pytest.mark.parametrize("step", [-3000, 3000])
def test_after_the_clock_was_set_it_is_asked_from_first_boot_again(desk: Desk, step: int) -> None:
    desk.users()
    desk.clock.now_ns += step * SECOND
    desk.users()
    assert desk.since() == FIRST_BOOT


def test_a_look_that_got_no_answer_is_made_up_for_by_the_next(desk: Desk) -> None:
    desk.users()
    desk.answer = None
    desk.clock.advance(600.0)
    assert desk.users() is None
    desk.answer = Answer([])
    desk.clock.advance(600.0)
    assert desk.users() == []
    assert desk.since() <= NOW


def test_a_journalctl_that_cannot_grep_is_asked_without_from_then_on(desk: Desk) -> None:
    desk.greps = False
    desk.users()
    desk.users()
    assert desk.grepped == [True, False, False]


def test_one_that_answers_nothing_at_all_may_grep_the_next_time(desk: Desk) -> None:
    desk.answer = None
    desk.users()
    desk.answer = Answer([])
    desk.users()
    assert desk.grepped == [True, False, True]


@pytest.mark.parametrize(("answer", "reaches"), [(Answer([b"{}"]), True), (Answer([]), False), (None, False)])
def test_it_reaches_back_to_where_it_holds_what_root_wrote_before(
    desk: Desk, answer: Answer | None, reaches: bool
) -> None:
    desk.answer = answer
    assert desk.journal.reaches(FIRST_BOOT * SECOND, Event()) == reaches
    assert {f"--until=@{FIRST_BOOT}", "_UID=0", "PRIORITY=6"} <= set(desk.asked[-1])


# ------------------------------------------------------------------------------------------------- its files


def journal_of(root: Path, folder: str = "var/log/journal") -> Path:
    file = root / folder / "0a1b2c3d/system.journal"
    file.parent.mkdir(parents=True)
    return file


def test_a_system_without_a_journal_has_none_that_could_not_be_read(tmp_path: Path) -> None:
    assert unreadable(str(tmp_path)) is None
    (tmp_path / "var/log/journal/empty").mkdir(parents=True)
    (tmp_path / "var/log/journal/note").touch()
    assert unreadable(str(tmp_path)) is None


@pytest.mark.parametrize("folder", login_journal.FOLDERS)
def test_a_regular_file_can_be_read_and_a_pipe_is_not_waited_for(tmp_path: Path, folder: str) -> None:
    file = journal_of(tmp_path, folder)
    file.touch()
    assert unreadable(str(tmp_path)) is None
    file.unlink()
    os.mkfifo(file)
    assert unreadable(str(tmp_path)) == "its system.journal is no regular file"


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to read as another user and come back")
@pytest.mark.parametrize("closed", ["system.journal", "0a1b2c3d", "journal"])
def test_what_the_agents_user_may_not_read_is_said(tmp_path: Path, closed: str) -> None:
    file = journal_of(tmp_path)
    file.touch()
    for parent in [tmp_path, *tmp_path.parents]:
        parent.chmod(parent.stat().st_mode & 0o7777 | 0o755)
    (path,) = (one for one in (file, *file.parents) if one.name == closed)
    path.chmod(0)
    os.seteuid(65534)
    try:
        assert unreadable(str(tmp_path)) == "Permission denied"
    finally:
        os.seteuid(0)


# ------------------------------------------------------------------------------------------------- journalctl


def test_the_real_journalctl_takes_the_arguments(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_journal, "JOURNAL_SECONDS", 10 * PATIENCE)  # of however large a journal this machine has
    desk.users()
    desk.journal.reaches(FIRST_BOOT * SECOND, Event())
    for arguments in desk.asked:
        answer = run_journalctl(arguments, Event())
        assert (answer is None) == (shutil.which("journalctl") is None)
        assert all(line.startswith(b"{") for line in (answer.lines if answer else ()))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo '{}'", Answer([b"{}"])),
        ("echo '{}'; echo truncated >&2", Answer([b"{}"], "truncated")),
        ("exit 1", Answer([])),
        ("echo unknown option >&2; exit 1", None),
        ("exit 2", None),
    ],
)
def test_what_journalctl_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: Answer | None
) -> None:
    program = tmp_path / "journalctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert run_journalctl([], Event()) == expected


def test_a_journalctl_that_hangs_is_ended_with_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "journalctl"
    slow.write_text("#!/bin/sh\nexec sleep 9999\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(login_journal, "JOURNAL_SECONDS", 10 * PATIENCE)
    stop = Event()
    stop.set()
    began = time.monotonic()
    assert run_journalctl([], stop) is None
    assert time.monotonic() - began < PATIENCE
