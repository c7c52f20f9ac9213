"""The file of `state.db`: how it is opened, and whether it is this machine's.

One that belongs to another machine is set aside, never reused; so is one that is no database of ours any more.
"""

import os
import sqlite3
from contextlib import closing
from typing import Final
from urllib.parse import quote

from drift_agent.errors import InputError

SCHEMA_VERSION: Final = 1

_LOCK_SECONDS = 5.0
"""How long another process's lock is waited for."""

_DAMAGED: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR})
"""What SQLite says of a file that will never be ours again (its last: tables of another shape). Everything else passes,
and a memory that is set aside for it would read as wiped."""

TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS item (slot TEXT, kind TEXT, key BLOB, change TEXT NOT NULL, PRIMARY KEY (slot, kind, key))
WITHOUT ROWID;
"""


def connect(path: str) -> sqlite3.Connection:
    """The database at `path`, made with its tables where it is missing; each write is on the disk when it returns."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = _connected(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA journal_size_limit = 1048576")
    db.executescript(TABLES)
    return db


def connect_to_read(path: str) -> sqlite3.Connection:
    """The database at `path`, of which nothing is written.

    A file without a log beside it is open nowhere, and only as such (`immutable`) read without making one.
    """
    os.stat(path)
    alone = "" if os.path.exists(path + "-wal") else "&immutable=1"
    return _connected(f"file:{quote(path)}?mode=ro{alone}")


def in_memory() -> sqlite3.Connection:
    """A database of nobody's file, without tables."""
    return _connected(":memory:")


def _connected(place: str) -> sqlite3.Connection:
    """`place` is a path, an URI or `:memory:`. Damaged text may be no UTF-8, and is text all the same."""
    db = sqlite3.connect(place, uri=place.startswith("file:"), timeout=_LOCK_SECONDS, check_same_thread=False)
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return db


def why_foreign_file(path: str, machine: str, cloud_id: str) -> str:
    """Why the file at `path` is not this machine's; empty when it is, or there is none.

    Raises:
        InputError, sqlite3.Error: as `why_foreign`.
    """
    if not os.path.exists(path):
        return ""
    with closing(_connected(path)) as db:
        return why_foreign(db, path, machine, cloud_id)


def why_foreign(db: sqlite3.Connection, path: str, machine: str, cloud_id: str) -> str:
    """Why an open database is not this machine's: it is damaged, or another's. An id that is empty matches any.

    Raises:
        InputError: it was written by a later version.
        sqlite3.Error: nobody can tell now (a lock, a full disk).
    """
    try:
        meta = dict(db.execute("SELECT name, value FROM meta"))
        db.execute("SELECT slot, kind, key, change FROM item LIMIT 1")
        # A page that cannot be followed may hide what was latched, or fail when nobody can help any more.
        (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "no such table" in str(error):
            return ""  # made, and killed before its tables were
        if error.sqlite_errorcode & 0xFF not in _DAMAGED:
            raise
        return f"cannot be read ({error})"
    if found != "ok":
        return f"is damaged ({' '.join(found.split())[:200]})"
    version = meta.get("version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InputError(f"{path}: was written by a later version of the agent; install that, or remove the file")
    for name, own in (("machine", machine), ("cloud_id", cloud_id)):
        if own and meta.get(name, own) != own:
            return f"belongs to another machine (its {name.replace('_', ' ')} differs)"
    return ""


def set_aside(path: str) -> str:
    """Renames the file, with its log; the new name, which no other had."""
    number = 1
    while os.path.exists(aside := f"{path}.aside-{number}"):
        number += 1
    os.replace(path, aside)
    for suffix in ("-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.replace(path + suffix, aside + suffix)
    return aside
