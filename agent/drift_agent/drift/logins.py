"""Who logged in since this instance's first boot: SSH, console, session manager.

Whichever sources there are: utmp and wtmp, the databases of wtmpdb and lastlog2, logind's sessions, the journal,
auth.log or secure, the log of the session-manager agent. A login is an item of kind `login` with the key
`user@source`, and is never taken back.
"""

import fnmatch
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from threading import Event
from typing import Final

from drift_agent.clock import Clock
from drift_agent.config import ImageOptions
from drift_agent.drift.first_boot import booted_at
from drift_agent.drift.login_databases import TABLES, LoginDatabase
from drift_agent.drift.login_journal import FOLDERS, Journal, RunJournal, run_journalctl
from drift_agent.drift.login_journal import unreadable as unreadable_journal
from drift_agent.drift.login_messages import SESSION_MANAGER, parse_auth_line, parse_session_line
from drift_agent.drift.login_records import (
    CONSOLE,
    SECOND,
    Login,
    address_of,
    parse_session,
    parse_utmp,
    record_size,
)
from drift_agent.drift.poller import Poller
from drift_agent.drift.tail import Tail
from drift_agent.errors import InputError
from drift_agent.image.rootfs import RootFiles
from drift_agent.model import Change, Unreadable

LOGIN: Final = "login"
"""The kind of its items."""

AUTH_LOGS: Final = ("var/log/auth.log", "var/log/secure")
UTMP: Final = "run/utmp"
WTMP: Final = "var/log/wtmp"
SESSION_LOG: Final = "var/log/amazon/ssm/amazon-ssm-agent.log"
SESSIONS: Final = "run/systemd/sessions"

LAST_SECOND: Final = 253_402_300_799
"""The last that a date can show: a record may claim any."""

SAME_LOGIN_NS: Final = 60 * SECOND
"""Within which a login from an address and one of the same user from a name are one."""

MAX_KEYS: Final = 1_000
"""So many are told; a host where more came from more places is no less tainted."""

MAX_UTMP_BYTES: Final = 16 << 20
MAX_SESSION_BYTES: Final = 1 << 16
MAX_SESSIONS: Final = 10_000

LOGIN_SECONDS: Final = 15.0

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
        self._allowed = tuple(allowed)
        self._machine = machine or os.uname().machine
        self._booted = booted or (booted_at if runs else lambda _: since)
        run = run_journal or (run_journalctl if runs else None)
        self._journal = Journal(run, clock) if run else None
        self._wtmp = Tail(os.path.join(root, WTMP), record_size(self._machine))
        self._auth = {path: Tail(os.path.join(root, path)) for path in AUTH_LOGS}
        self._session = Tail(os.path.join(root, SESSION_LOG))
        self._databases = [LoginDatabase(root, table) for table in TABLES]
        self._looked = 0
        self._before: list[Login] = []
        self._told: set[str] = set()

    def look(self, stop: Event) -> LoginAnswer:
        """Asks every source once; `stop` ends what takes long."""
        now = self._clock.time_ns()
        # A clock that was ahead at first boot, and was set back: this boot is not before the first all the same.
        since = min(self._since, self._booted(now))
        local = datetime.fromtimestamp(now / SECOND)  # noqa: DTZ006  logs are in this machine's zone, whatever it is
        found: list[Login] = []
        logged: list[Login] = []
        unreadable: list[Unreadable] = []
        for path, gather in self._sources(since, now, local, stop):
            try:
                (logged if path in AUTH_LOGS else found).extend(gather())
            except (OSError, InputError) as error:
                problem = (error.strerror if isinstance(error, OSError) else str(error)) or "cannot be read"
                unreadable.append(Unreadable(LOGIN, f"/{path}", problem))
        found += self._ask_journal(since, logged, stop, unreadable)
        self._looked = now
        return self._changes(login for login in found if login.at >= since), unreadable

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

    def _ask_journal(
        self, since: int, logged: Sequence[Login], stop: Event, unreadable: list[Unreadable]
    ) -> list[Login]:
        """The journal's logins, and those of `logged` that it cannot know of.

        Every user may write to auth.log what sshd would: only where no journal says who wrote is it believed.
        """
        if self._journal is None:
            return list(logged)
        entries = self._journal.logins(since, stop)
        problem = unreadable_journal(self._root)
        if entries is None and any(os.path.isdir(os.path.join(self._root, path)) for path in FOLDERS):
            problem = problem or "journalctl is not there, refuses, or takes too long"
        if problem:
            unreadable.append(Unreadable(LOGIN, "journal", problem))
        if entries is None or problem:
            return [*(entries or ()), *logged]
        # What was appended since the last look was written since then, whatever its stamp says.
        old = sorted((login for login in logged if login.at >= since), key=lambda login: login.at)
        journal, looked = self._journal, self._looked
        reached = bisect_left(old, True, key=lambda login: journal.reaches(max(login.at, looked), stop))
        return [*entries, *old[:reached]]

    def _changes(self, logins: Iterable[Login]) -> list[Change]:
        found = sorted(logins, key=lambda login: login.at)
        addressed = [login for login in found if address_of(login.source)]
        times = _times_by_user([*self._before, *addressed])
        self._before = addressed[-MAX_KEYS:]
        fresh: dict[str, Login] = {}
        for login in found:
            key = f"{login.user}@{login.source}"
            if key in self._told or len(self._told) >= MAX_KEYS or self._may_come(login.user):
                continue
            if _is_from_a_name(login) and _is_near(login.at, times.get(login.user, [])):
                continue
            self._told.add(key)
            fresh[key] = login
        return [_change(key, login) for key, login in fresh.items()]

    def _may_come(self, user: str) -> bool:
        return any(fnmatch.fnmatchcase(user, pattern) for pattern in self._allowed)


def _is_from_a_name(login: Login) -> bool:
    """A host's, or that of a service whose messages do not say from where: other records have the address."""
    return login.source not in (CONSOLE, SESSION_MANAGER) and address_of(login.source) is None


def _times_by_user(logins: Iterable[Login]) -> dict[str, list[int]]:
    times: dict[str, list[int]] = {}
    for login in logins:
        times.setdefault(login.user, []).append(login.at)
    return {user: sorted(each) for user, each in times.items()}


def _is_near(at: int, times: Sequence[int]) -> bool:
    """Whether one of the sorted `times` is within `SAME_LOGIN_NS`."""
    next_one = bisect_left(times, at - SAME_LOGIN_NS)
    return next_one < len(times) and times[next_one] <= at + SAME_LOGIN_NS


def _change(key: str, login: Login) -> Change:
    at = datetime.fromtimestamp(min(login.at // SECOND, LAST_SECOND), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Change(LOGIN, key, "added", severity="high", actual={"via": login.via, "at": at})


def _parse(tail: Tail, parse: Callable[[bytes], Login | None], stop: Event) -> Iterator[Login]:
    for block in tail.read():
        if stop.is_set():
            return
        for line in block.splitlines():
            if (login := parse(line)) is not None:
                yield login


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
