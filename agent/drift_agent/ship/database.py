"""The spool's file: SQLite, its schema, and what is done about a damaged or a foreign one.

One connection serves every thread of the agent (the caller holds a lock), so nothing is ever busy and no reader
holds back a checkpoint. WAL with synchronous=NORMAL: a killed process loses nothing; a power cut may lose the last
moments, lines and log offsets together.

    batch   (lane, id) → lines, bytes, times       what waits
    body    id → its lines
    owed    (output, lane, batch)                  which output has not acknowledged it yet
    output  id, label
    place   key → value                            offsets of the logs that the lines came from

and in memory, so that an acknowledgement counts on a full disk too:

    acked   (output, lane, batch)                  not deleted from `owed` yet; `owing` is `owed` without it
"""

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from drift_agent.errors import InputError

LOG: Final = logging.getLogger("driftline.ship")

APPLICATION_ID: Final = 0x44524C53  # "DRLS"
PAGE_BYTES: Final = 4096
_SMALL_PAGES: Final = 256

_MIGRATIONS: Final = (
    """
    CREATE TABLE output (id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE);
    CREATE TABLE batch (
        lane INTEGER NOT NULL, id INTEGER NOT NULL, lines INTEGER NOT NULL, bytes INTEGER NOT NULL,
        made INTEGER NOT NULL, oldest INTEGER NOT NULL, newest INTEGER NOT NULL,
        PRIMARY KEY (lane, id)) WITHOUT ROWID;
    CREATE TABLE body (id INTEGER PRIMARY KEY, lines BLOB NOT NULL);
    CREATE TABLE owed (
        output INTEGER NOT NULL, lane INTEGER NOT NULL, batch INTEGER NOT NULL,
        PRIMARY KEY (output, lane, batch)) WITHOUT ROWID;
    CREATE TABLE place (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    """,
)
"""The script at index N makes schema N + 1 of schema N; an empty file is schema 0."""

_TABLES: Final = 5

_IN_MEMORY: Final = """
    PRAGMA temp_store = MEMORY;
    CREATE TEMP TABLE acked (
        output INTEGER NOT NULL, lane INTEGER NOT NULL, batch INTEGER NOT NULL,
        PRIMARY KEY (output, lane, batch)) WITHOUT ROWID;
    CREATE TEMP VIEW owing AS SELECT * FROM owed WHERE NOT EXISTS (
        SELECT 1 FROM acked
        WHERE acked.output = owed.output AND acked.lane = owed.lane AND acked.batch = owed.batch);
"""

_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNWRITABLE: Final = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
)  # fmt: skip


class DamagedError(Exception):
    """The file is no database of ours any more; it must be set aside."""


class UnwritableError(Exception):
    """The file cannot be written or read now (a full disk, a read-only one); it may work again later."""


@contextmanager
def translated() -> Iterator[None]:
    """SQLite's errors as the two that the spool handles; anything else is a mistake of ours and is raised as it is.

    Raises:
        DamagedError, UnwritableError
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise DamagedError(str(error)) from error
        if code in _UNWRITABLE:
            raise UnwritableError(str(error)) from error
        raise


class Database:
    """An open spool file. Its methods raise sqlite3's errors; callers wrap them in `translated`."""

    def __init__(self, path: str, max_bytes: int) -> None:
        self.path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(max_bytes)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, max_bytes: int) -> None:
        run = self._connection.execute
        # The write-ahead log is a fifth of the cap (and what one transaction adds to it), at most 4 MiB.
        checkpoint_pages = max(16, min(1000, max_bytes // 5 // PAGE_BYTES))
        if not os.stat(self.path).st_size:
            run(f"PRAGMA page_size = {PAGE_BYTES}")
        run("PRAGMA journal_mode = WAL").fetchall()
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA secure_delete = OFF").fetchall()  # Debian's default would write every deleted page once more
        run(f"PRAGMA wal_autocheckpoint = {checkpoint_pages}").fetchall()
        run(f"PRAGMA journal_size_limit = {checkpoint_pages * PAGE_BYTES}").fetchall()
        run("PRAGMA cache_size = -2048")
        run("PRAGMA busy_timeout = 1000").fetchall()
        self._check()
        self._migrate()
        self._connection.executescript(_IN_MEMORY)

    def _check(self) -> None:
        application = self.number("PRAGMA application_id")
        version = self.number("PRAGMA user_version")
        if application not in (0, APPLICATION_ID) or (application == 0 and version):
            raise DamagedError("it is another application's database")
        if version > len(_MIGRATIONS):
            raise InputError(
                f"{self.path}: is of schema {version} and this agent knows {len(_MIGRATIONS)}: "
                "upgrade driftline, or move the file away"
            )
        found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise DamagedError(str(found))
        tables = self.number("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
        if version and tables < _TABLES:
            raise DamagedError("tables are missing")

    def _migrate(self) -> None:
        for version in range(self.number("PRAGMA user_version"), len(_MIGRATIONS)):
            with self.transaction() as run:
                for statement in _MIGRATIONS[version].split(";"):
                    if statement.strip():
                        run.execute(statement)
                run.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                run.execute(f"PRAGMA user_version = {version + 1}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: all of it or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite rolls back by itself where a disk is full
                self._connection.execute("ROLLBACK")
            raise

    def rows(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[int, ...]]:
        return self._connection.execute(sql, parameters).fetchall()

    def many(self, sql: str, parameters: Sequence[tuple[object, ...]]) -> None:
        self._connection.executemany(sql, parameters)

    @contextmanager
    def cursor(self, sql: str, parameters: tuple[object, ...]) -> Iterator[sqlite3.Cursor]:
        """Rows one by one; closing ends the read transaction, which would otherwise hold back every checkpoint."""
        cursor = self._connection.execute(sql, parameters)
        try:
            yield cursor
        finally:
            cursor.close()

    def number(self, sql: str, parameters: tuple[object, ...] = ()) -> int:
        row = self._connection.execute(sql, parameters).fetchone()
        return int(row[0]) if row is not None and row[0] is not None else 0

    def used_bytes(self) -> int:
        """Of the file, without its free pages; holds within a transaction too."""
        return (self.number("PRAGMA page_count") - self.number("PRAGMA freelist_count")) * PAGE_BYTES

    def is_mostly_free(self) -> bool:
        """Whether little is left of what once was much: then rewriting the file is quick, and frees its space."""
        free, used = self.number("PRAGMA freelist_count"), self.used_bytes() // PAGE_BYTES
        return used <= _SMALL_PAGES and free > max(64, 2 * used)

    def shrink(self) -> None:
        """Rewrites the file without its free pages. For files of which `is_mostly_free` holds."""
        self._connection.execute("VACUUM")
        self.truncate_log()

    def truncate_log(self) -> None:
        """Moves the write-ahead log into the database and empties it."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        self._connection.close()


def set_aside(path: str, now_ns: int) -> str:
    """Renames a damaged database, with its log, so that it can be looked at; says its new name."""
    aside = f"{path}.damaged-{now_ns}"
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.rename(path + suffix, aside + suffix)
    return aside
