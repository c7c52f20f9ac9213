"""Who logged in since this instance's first boot: SSH, console, session manager.

Whichever sources there are: utmp and wtmp, auth.log or secure, the journal (Debian 13 has nothing else), the log of
the session-manager agent. A login is an item of kind `login` with the key `user@source`, and is never taken back.
"""

import fnmatch
import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from threading import Event
from typing import Final

from drift_agent.clock import Clock
from drift_agent.config import ImageOptions
from drift_agent.drift.login_records import (
    IDENTIFIERS,
    MESSAGES,
    SECOND,
    Login,
    parse_auth_line,
    parse_journal_line,
    parse_session_line,
    parse_utmp,
    record_size,
)
from drift_agent.drift.poller import Poller
from drift_agent.drift.tail import Tail
from drift_agent.model import Change, Unreadable

LOGIN: Final = "login"
"""The kind of its items."""

AUTH_LOGS: Final = ("var/log/auth.log", "var/log/secure")
UTMP: Final = "run/utmp"
WTMP: Final = "var/log/wtmp"
SESSION_LOG: Final = "var/log/amazon/ssm/amazon-ssm-agent.log"

LAST_SECOND: Final = 253_402_300_799
"""The last that a date can show: a record may claim any."""

JOURNALS: Final = ("var/log/journal", "run/log/journal")
GREP: Final = (f"--grep={MESSAGES}", "--case-sensitive=true")

OVERLAP_NS: Final = 120 * SECOND
"""How far the journal is read again each time: an entry is written some time after its stamp."""

LOGIN_SECONDS: Final = 15.0

JOURNAL_SECONDS: Final = 20.0

LoginAnswer = tuple[list[Change], list[Unreadable]]
"""The logins that were not told before (some may be), and the sources that could not be read."""

RunJournal = Callable[[Sequence[str], Event], Iterable[bytes] | None]
"""Arguments of journalctl → its lines; None where it cannot be run, refuses, or the event ended it."""


class Logins:
    """Asks every source of a root. `allowed` are glob patterns of users that may come (automation).

    The journal is that of the running machine: it is asked where the root is `/` alone.
    """

    def __init__(
        self,
        root: str,
        clock: Clock,
        *,
        since: int,
        allowed: Sequence[str] = (),
        run_journal: RunJournal | None = None,
        machine: str | None = None,
    ) -> None:
        """`since` (Unix ns): what is older happened before this instance's first boot."""
        self._root = root
        self._clock = clock
        self._since = since
        self._allowed = tuple(allowed)
        self._machine = machine or os.uname().machine
        self._journal_since = since
        self._run_journal = run_journal or (run_journalctl if os.path.realpath(root) == "/" else None)
        self._greps = True
        self._wtmp = Tail(os.path.join(root, WTMP), record_size(self._machine))
        self._auth = [Tail(os.path.join(root, path)) for path in AUTH_LOGS]
        self._session = Tail(os.path.join(root, SESSION_LOG))

    def look(self, stop: Event) -> LoginAnswer:
        """Asks every source once; `stop` ends a journal that takes long."""
        found: list[Login] = []
        unreadable: list[Unreadable] = []
        now = datetime.fromtimestamp(self._clock.time_ns() / SECOND, UTC).astimezone()
        utc = now.astimezone(UTC)
        for path, gather in (
            (UTMP, self._standing),
            (WTMP, lambda: parse_utmp(self._wtmp.read(), self._machine)),
            ("var/log/auth.log", lambda: _parse_lines(self._auth, lambda line: parse_auth_line(line, now))),
            (SESSION_LOG, lambda: _parse_lines([self._session], lambda line: parse_session_line(line, utc))),
        ):
            try:
                found.extend(gather())
            except OSError as error:
                unreadable.append(Unreadable(LOGIN, f"/{path}", error.strerror or "cannot be read"))
        entries = self._journal(stop)
        if entries is None and any(os.path.isdir(os.path.join(self._root, path)) for path in JOURNALS):
            unreadable.append(Unreadable(LOGIN, "journal", "journalctl is not there, refuses, or takes too long"))
        return self._changes([*found, *(entries or ())]), unreadable

    def _standing(self) -> Iterable[Login]:
        """Who is logged in now: utmp is rewritten in place, so that there is nothing to go on from."""
        return parse_utmp(Tail(os.path.join(self._root, UTMP), record_size(self._machine)).read(), self._machine)

    def _journal(self, stop: Event) -> list[Login] | None:
        """The logins that the journal tells of; None where it cannot be asked."""
        if self._run_journal is None:
            return []
        began = self._clock.time_ns()
        start = max(min(self._journal_since, began) - OVERLAP_NS, self._since)
        arguments = [f"--since=@{start // SECOND}", *(f"--identifier={name}" for name in IDENTIFIERS)]
        lines = self._run_journal([*arguments, *GREP], stop) if self._greps else None
        if lines is None:
            lines = self._run_journal(arguments, stop)
            self._greps = self._greps and lines is None  # it may be built without regular expressions
        if lines is None:
            return None
        self._journal_since = began
        return [login for line in lines if (login := parse_journal_line(line)) is not None]

    def _changes(self, logins: Iterable[Login]) -> list[Change]:
        first: dict[str, Login] = {}
        for login in sorted(logins, key=lambda one: one.at):
            if login.at >= self._since and not any(fnmatch.fnmatchcase(login.user, one) for one in self._allowed):
                first.setdefault(f"{login.user}@{login.source}", login)
        return [_change(key, login) for key, login in first.items()]


def _change(key: str, login: Login) -> Change:
    at = datetime.fromtimestamp(min(login.at // SECOND, LAST_SECOND), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Change(LOGIN, key, "added", severity="high", actual={"via": login.via, "at": at})


def _parse_lines(tails: Iterable[Tail], parse: Callable[[bytes], Login | None]) -> list[Login]:
    lines = (line for tail in tails for line in tail.read().splitlines())
    return [login for line in lines if (login := parse(line)) is not None]


def run_journalctl(arguments: Sequence[str], stop: Event) -> Iterable[bytes] | None:
    """Runs journalctl for at most `JOURNAL_SECONDS`; its exit code 1 means that nothing matched."""
    fields = "--output-fields=MESSAGE,SYSLOG_IDENTIFIER"
    command = ["journalctl", "--quiet", "--no-pager", "--output=json", fields, *arguments]
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError:
        return None
    with process:
        for _ in range(round(JOURNAL_SECONDS / 0.1)):
            try:
                output, complaint = process.communicate(timeout=0.1)
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    break
                continue
            refused = process.returncode not in (0, 1) or complaint.strip()
            return None if refused else output.splitlines()
        process.kill()
    return None


class LoginWatch:
    """Asks for logins every `LOGIN_SECONDS` in a thread of its own."""

    def __init__(self, options: ImageOptions, clock: Clock, since: int, wake: Callable[[], None]) -> None:
        self._logins = Logins(options.root, clock, since=since, allowed=options.allow_logins)
        self._poller = Poller("logins", self._logins.look, LOGIN_SECONDS, clock, wake)
        self._begun = False

    def begin(self) -> None:
        """Begins to ask; nothing where that was done."""
        if not self._begun:
            self._begun = True
            self._poller.start()

    def once(self) -> LoginAnswer:
        """Asks in this thread, and waits."""
        return self._logins.look(Event())

    def take(self) -> list[LoginAnswer]:
        """What was answered since the last time."""
        return self._poller.take()

    def stop(self) -> None:
        """Ends the thread before it returns."""
        self._poller.stop()
