"""SQLite databases that PAM's modules write logins to: wtmpdb's and lastlog2's, what Debian 13 has for wtmp.

They are read from a copy: a reader of the file itself would lock out who logs in, or write beside it. Whatever the
file holds, reading it is bounded in memory, rows and time.
"""

import errno
import os
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Final, NamedTuple

from drift_agent.drift.login_records import Login, of_service
from drift_agent.image.rootfs import RootFiles

MAX_BYTES: Final = 64 << 20
MAX_ROWS: Final = 20_000
MAX_TEXT_BYTES: Final = 1 << 16
MAX_PROBLEM_LENGTH: Final = 200
QUERY_SECONDS: Final = 5.0
SETTLED_NS: Final = 2_000_000_000
"""A file that was written more recently may be written again within the same tick of its clock."""

_STEPS: Final = 10_000
"""Of SQLite's machine, between two looks at the time."""

_BESIDE: Final = ("-wal", "-journal", "")
"""A transaction that is under way is rolled back in the copy, one in the log is played: SQLite finds both beside it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A database, and the query for `user, host, line, service, microseconds` of logins since so many microseconds."""

    path: str
    query: str


TABLES: Final = (
    Table(
        "/var/lib/wtmpdb/wtmp.db",
        "SELECT User, RemoteHost, TTY, Service, min(Login) FROM wtmp WHERE Type = 3 AND Login >= ?1 "
        "GROUP BY User, RemoteHost, TTY, Service",
    ),
    Table(
        "/var/lib/lastlog/lastlog2.db",
        "SELECT Name, RemoteHost, TTY, Service, Time * 1000000 FROM Lastlog2 WHERE Time >= ?1 / 1000000",
    ),
)


class FileStamp(NamedTuple):
    """What tells that a file was written."""

    inode: int
    size: int
    mtime_ns: int


Stamp = tuple[FileStamp | None, ...]
"""Those of a database's files in the order of `_BESIDE`, the database itself last; None for one that is not there."""


class LoginDatabase:
    """One of them under a root, read again only where it was written."""

    def __init__(self, root: str, table: Table) -> None:
        self._root = root
        self._table = table
        self._read: Stamp | None = None

    @property
    def path(self) -> str:
        """Below its root; begins with `/`."""
        return self._table.path

    def logins(self, since: int, now: int) -> list[Login]:
        """Those since `since` (both Unix ns), unless it holds the same as the last time; none where there is none.

        Raises:
            OSError: it is there and cannot be read, or is no such database.
        """
        stamp = self._stamp()
        database = stamp[-1]
        if stamp == self._read or database is None or database.size == 0:
            return []
        try:
            rows = self._rows(since // 1000)
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: SQLite's complaint quotes what it found
            if stamp != self._stamp():  # somebody comes in at this moment
                return []
            problem = str(error)[:MAX_PROBLEM_LENGTH]
            raise OSError(errno.EINVAL, f"is no database of logins that can be read: {problem}") from None
        settled = all(one is None or one.mtime_ns < now - SETTLED_NS for one in stamp)
        self._read = stamp if settled and stamp == self._stamp() else None
        return [login for row in rows if (login := _login(row)) is not None]

    def _stamp(self) -> Stamp:
        return tuple(_stamp(os.path.join(self._root, f"{self.path[1:]}{end}")) for end in _BESIDE)

    def _rows(self, since: int) -> list[tuple[object, ...]]:
        with tempfile.TemporaryDirectory(prefix="driftline-logins-") as folder, RootFiles(self._root) as files:
            copy = os.path.join(folder, "copy.db")
            for end in _BESIDE:
                with open(copy + end, "xb") as file:
                    found = files.copy(self.path + end, file, MAX_BYTES)
                if not found:
                    os.unlink(file.name)
            return _query(copy, self._table.query, since)


def _stamp(path: str) -> FileStamp | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return FileStamp(status.st_ino, status.st_size, status.st_mtime_ns)


def _query(path: str, query: str, since: int) -> list[tuple[object, ...]]:
    deadline = time.monotonic() + QUERY_SECONDS
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TEXT_BYTES)
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        return connection.execute(query, (since,)).fetchmany(MAX_ROWS)


def _login(row: tuple[object, ...]) -> Login | None:
    """What a row tells of; its columns may hold values of any type."""
    user, host, line, service, at = row
    if not isinstance(user, str) or not isinstance(at, int):
        return None
    host, line, service = (value if isinstance(value, str) else "" for value in (host, line, service))
    return of_service(service, user, host, line, at * 1000)
