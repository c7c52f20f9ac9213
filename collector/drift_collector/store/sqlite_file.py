"""The file of the embedded store: its schema, how it is opened, and what its errors mean.

Points stand in rowid tables, in the order of their arrival, with a unique index on (time, series): a point that is
written twice is one, new points go to the end of the index, and retention is a range of it. Fields stay the text of
their line and are decoded when they are read. What a verdict needs of each instance's newest report stands in
columns of its own, written as the points come in.
"""

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Final

from drift_agent.errors import StoreError
from drift_collector.store.base import DriftReport

APPLICATION_ID: Final = 0x44524654  # "DRFT"
VERSION: Final = 2
BUSY_SECONDS: Final = 10.0

COLUMNS: Final = tuple(item.name for item in fields(DriftReport) if item.name != "resets")
"""Columns of the table `newest`, in the order of DriftReport's parameters."""

_TYPE: Final = {int: "INTEGER", str: "TEXT", float: "REAL"}
_NEWEST: Final = ", ".join(
    f'"{item.name}" {_TYPE[item.type]} NOT NULL'  # type: ignore[index]  # the types of a dataclass without deferred annotations
    for item in fields(DriftReport)
    if item.name != "resets"
)

SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
CREATE TABLE series (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, instance TEXT);
CREATE INDEX series_instance ON series (instance) WHERE instance IS NOT NULL;
CREATE TABLE metric_point (series INTEGER NOT NULL, time INTEGER NOT NULL, fields TEXT NOT NULL);
CREATE UNIQUE INDEX metric_point_once ON metric_point (time, series);
CREATE TABLE drift_point (series INTEGER NOT NULL, time INTEGER NOT NULL, fields TEXT NOT NULL);
CREATE UNIQUE INDEX drift_point_once ON drift_point (time, series);
CREATE TABLE newest (id INTEGER PRIMARY KEY, {_NEWEST}, UNIQUE (instance));
CREATE TABLE seal (
    instance TEXT NOT NULL, sealed INTEGER NOT NULL, seal TEXT NOT NULL, boot_id TEXT NOT NULL, first INTEGER NOT NULL,
    PRIMARY KEY (instance, sealed, seal, boot_id)
) WITHOUT ROWID;
CREATE TABLE seq (
    instance TEXT NOT NULL, sealed INTEGER NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT NULL,
    boot_id TEXT NOT NULL, again INTEGER, new_boot INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (instance, sealed, seq)
) WITHOUT ROWID;
CREATE INDEX seq_twice ON seq (instance) WHERE again IS NOT NULL;
CREATE TABLE latch (
    instance TEXT NOT NULL, sealed INTEGER NOT NULL, dirty INTEGER, clean INTEGER, at INTEGER,
    PRIMARY KEY (instance, sealed)
) WITHOUT ROWID;
CREATE INDEX latch_forgotten ON latch (instance) WHERE clean > dirty;
CREATE TABLE token (
    id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, scope TEXT NOT NULL, instance TEXT, created INTEGER NOT NULL
);
"""


_NO_STORE: Final = "there is no store yet; start `drift serve` or `drift up`, or name another with --store"


def open_file(path: str, *, create: bool = False) -> sqlite3.Connection:
    """A connection to the store at `path`, in autocommit: transactions are begun by hand. Any thread may use it.

    Raises:
        StoreError: there is none (and `create` is false), it cannot be opened, or is not ours.
    """
    if create:
        with told(path):
            _make(path)
    elif not os.path.exists(path):
        raise StoreError(f"{path}: {_NO_STORE}")
    with told(path):
        connection = _connect(path)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _make(path: str) -> None:
    """Makes the store where there is none: whole and under another name first, for others may look, or make it too.

    One that is there is never opened beside SQLite: closing any descriptor of it would drop the locks that every other
    connection of this process holds, and whoever else closes the store then takes the log away from under them.
    """
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.path.exists(path):
            if not os.access(path, os.R_OK | os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        descriptor, temporary = tempfile.mkstemp(prefix=".store-", dir=folder)
        os.close(descriptor)
        try:
            _fill(temporary)
            os.link(temporary, path)
        except FileExistsError:
            pass  # somebody else was quicker
        finally:
            os.unlink(temporary)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}; name another place with --database") from None


def _fill(path: str) -> None:
    connection = _connect(path)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
        raise StoreError(f"{path}: {_NO_STORE}")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StoreError(f"{path}: is an SQLite database of something else; name another file")
    if version != VERSION:
        raise StoreError(f"{path}: has version {version}, this program knows {VERSION}; use the program that made it")
    # FULL: an acknowledged batch outlives a loss of power. The log never stays larger than this on disk.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")


@contextmanager
def told(path: str) -> Iterator[None]:
    """Turns SQLite's errors into sentences about the store at `path`."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise StoreError(f"{path}: {_SENTENCES.get(code, str(error))}") from error


_SENTENCES: Final = {
    sqlite3.SQLITE_BUSY: "is busy with another writer; try again",
    sqlite3.SQLITE_FULL: "the disk is full; free some space, nothing that was acknowledged is lost",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database; name another file",
    sqlite3.SQLITE_CORRUPT: "is damaged; move it away and start anew, or recover it with the sqlite3 program",
    sqlite3.SQLITE_READONLY: "cannot be written; check the rights of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check the rights of the file and its folder",
    sqlite3.SQLITE_PERM: "cannot be opened; check the rights of the file and its folder",
    sqlite3.SQLITE_IOERR: "the disk fails to read or write; check it",
}
