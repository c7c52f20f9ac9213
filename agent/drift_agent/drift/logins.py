"""Who logged in since this instance's first boot: SSH, console, session manager.

Whichever sources there are: utmp and wtmp, the databases of wtmpdb and lastlog2, logind's sessions, the journal,
auth.log or secure, the log of the session-manager agent. A login is an item of kind `login` with the key
`user@source`, and is never taken back.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from threading import Event
from typing import Final

from drift_agent.clock import Clock
from drift_agent.drift.first_boot import booted_at
from drift_agent.drift.login_databases import TABLES, LoginDatabase
from drift_agent.drift.login_journal import FOLDERS, Journal, RunJournal, run_journalctl
from drift_agent.drift.login_journal import unreadable as unreadable_journal
from drift_agent.drift.login_messages import parse_auth_line, parse_session_line
from drift_agent.drift.login_records import LOGIN, Login, parse_session, parse_utmp, record_size
from drift_agent.drift.login_register import Earliest, Register, key_of
from drift_agent.drift.tail import Tail
from drift_agent.errors import InputError
from drift_agent.image.rootfs import RootFiles
from drift_agent.model import Change, Unreadable
from drift_agent.units import SECOND

AUTH_LOGS: Final = ("var/log/auth.log", "var/log/secure")
UTMP: Final = "run/utmp"
WTMP: Final = "var/log/wtmp"
SESSION_LOG: Final = "var/log/amazon/ssm/amazon-ssm-agent.log"
SESSIONS: Final = "run/systemd/sessions"

LAST_SECOND: Final = 253_402_300_799
"""The last that a date can show: a record may claim any."""

MAX_UTMP_BYTES: Final = 16 << 20
MAX_SESSION_BYTES: Final = 1 << 16
MAX_SESSIONS: Final = 10_000

LoginAnswer = tuple[list[Change], list[Unreadable]]
"""The logins that were not told before (some may be), and the sources that could not be read."""

Gather = Callable[[], Iterable[Login]]


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
        booted: Callable[[int], int] | None = None,
        machine: str | None = None,
    ) -> None:
        """`since` (Unix ns): what is older happened before this instance's first boot."""
        runs = os.path.realpath(root) == "/"
        self._root = root
        self._clock = clock
        self._since = since
        self._machine = machine or os.uname().machine
        self._booted = booted or (booted_at if runs else lambda _: since)
        run = run_journal or (run_journalctl if runs else None)
        self._journal = Journal(run, clock) if run else None
        self._wtmp = Tail(os.path.join(root, WTMP), record_size(self._machine))
        self._auth = {path: Tail(os.path.join(root, path)) for path in AUTH_LOGS}
        self._session = Tail(os.path.join(root, SESSION_LOG))
        self._databases = [LoginDatabase(root, table) for table in TABLES]
        self._looked = 0
        self._allowed = tuple(allowed)
        self._register = Register()

    def look(self, stop: Event) -> LoginAnswer:
        """Asks every source once; `stop` ends what takes long."""
        now = self._clock.time_ns()
        # A clock that was ahead at first boot, and was set back: this boot is not before the first all the same.
        since = min(self._since, self._booted(now))
        local = datetime.fromtimestamp(now / SECOND)  # noqa: DTZ006  logs are in this machine's zone, whatever it is
        found, logged = Earliest(since, self._allowed), Earliest(since, self._allowed)
        unreadable: list[Unreadable] = []
        for path, gather in self._sources(since, now, local, stop):
            try:
                (logged if path in AUTH_LOGS else found).take(gather())
            except (OSError, InputError) as error:
                problem = (error.strerror if isinstance(error, OSError) else str(error)) or "cannot be read"
                unreadable.append(Unreadable(LOGIN, f"/{path}", problem))
        from_journal, problem = self._ask_journal(since, logged.by_time(), stop)
        found.take(from_journal)
        if problem:
            unreadable.append(Unreadable(LOGIN, "journal", problem))
        self._looked = now
        return [_change(login) for login in self._register.news(found.by_time())], unreadable

    def _sources(self, since: int, now: int, local: datetime, stop: Event) -> Iterator[tuple[str, Gather]]:
        yield UTMP, self._standing
        yield SESSIONS, self._sessions
        yield WTMP, partial(self._records, stop)
        for database in self._databases:
            yield database.path[1:], partial(database.logins, since, now)
        yield SESSION_LOG, partial(_parse, self._session, partial(parse_session_line, now=local), stop)
        for path, tail in self._auth.items():
            yield path, partial(_parse, tail, partial(parse_auth_line, now=local), stop)

    def _standing(self) -> Iterable[Login]:
        """Who is logged in now: utmp is rewritten in place, so that there is nothing to go on from."""
        with RootFiles(self._root) as files:
            return list(parse_utmp(files.read(f"/{UTMP}", MAX_UTMP_BYTES) or b"", self._machine))

    def _sessions(self) -> Iterable[Login]:
        """Who is logged in now, as logind has it, with a terminal or without."""
        with RootFiles(self._root) as files:
            for name in files.names(f"/{SESSIONS}")[:MAX_SESSIONS]:
                login = parse_session(files.text(f"/{SESSIONS}/{name}", MAX_SESSION_BYTES) or "")
                if login is not None:
                    yield login

    def _records(self, stop: Event) -> Iterator[Login]:
        for block in self._wtmp.read():
            if stop.is_set():
                return
            yield from parse_utmp(block, self._machine)

    def _ask_journal(self, since: int, logged: Sequence[Login], stop: Event) -> tuple[list[Login], str]:
        """The journal's logins, with those of `logged` (the earliest first) that it cannot know of; and its trouble.

        Every user may write to auth.log what sshd would: only where no journal says who wrote is it believed.
        """
        if self._journal is None:
            return list(logged), ""
        answer = self._journal.logins(since, stop)
        problem = unreadable_journal(self._root) or ""
        if answer is not None:
            problem = problem or answer[1]
        elif any(os.path.isdir(os.path.join(self._root, path)) for path in FOLDERS):
            problem = problem or "journalctl is not there, refuses, or takes too long"
        entries = [] if answer is None else answer[0]
        if answer is None or problem:
            return [*entries, *logged], problem
        # What was appended since the last look was written since then, whatever its stamp says.
        journal, looked = self._journal, self._looked
        reached = bisect_left(logged, True, key=lambda login: journal.reaches(max(login.at, looked), stop))
        return [*entries, *logged[:reached]], ""


def _change(login: Login) -> Change:
    at = datetime.fromtimestamp(min(login.at // SECOND, LAST_SECOND), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Change(LOGIN, key_of(login), "added", severity="high", actual={"via": login.via, "at": at})


def _parse(tail: Tail, parse: Callable[[bytes], Login | None], stop: Event) -> Iterator[Login]:
    for block in tail.read():
        if stop.is_set():
            return
        for line in block.splitlines():
            if (login := parse(line)) is not None:
                yield login
