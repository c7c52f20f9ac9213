"""`state.db`: what the agent must not forget. Every write is on the disk when it returns (synchronous FULL).

It belongs to one machine: opened with another machine's id or cloud id it is set aside, never reused, for a copied
state folder must not lend its history to a new instance. A file that is no database is set aside too.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from secrets import token_hex
from typing import Any, Final
from urllib.parse import quote

from drift_agent.drift.sequence import SequenceFile
from drift_agent.drift.state_record import Delta, Slot, decode, encode, unknown
from drift_agent.errors import InputError
from drift_agent.line_protocol import portable
from drift_agent.model import Change, Key

SCHEMA_VERSION: Final = 1

_LOCK_SECONDS = 5.0
"""How long another process's lock is waited for."""

_DAMAGED: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR})
"""What SQLite says of a file that will never be ours again (its last: tables of another shape). Everything else passes,
and a memory that is set aside for it would read as wiped."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS item (slot TEXT, kind TEXT, key BLOB, change TEXT NOT NULL, PRIMARY KEY (slot, kind, key))
WITHOUT ROWID;
"""

_ITEMS: Final = "SELECT CAST(kind AS BLOB), CAST(key AS BLOB), CAST(change AS BLOB) FROM item WHERE slot = ?"
"""Bytes, for damaged text may be no UTF-8."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The single values. Times are Unix ns; 0 and empty where there is none yet."""

    seq: int = 0
    report: int = 0
    report_end: int = 0
    """The stamp after the last item of any set: the next set begins no earlier."""
    state: str = ""
    since: int = 0
    sealed: int = 0
    seal: str = ""
    first_boot: int = 0
    """When this state began: what logged in before it was not this instance."""


class StateUnavailableError(InputError):
    """`state.db` cannot be opened for now: a full disk, a lock, a file that another user owns."""


class StateStore:
    """The open database; used by one thread."""

    def __init__(
        self, connection: sqlite3.Connection, log: Callable[[str], None], sequence: SequenceFile | None = None
    ) -> None:
        self._db = connection
        self._log = log
        self._sequence = sequence

    @classmethod
    def open(cls, path: str, machine: str, cloud_id: str, log: Callable[[str], None] = lambda _: None) -> "StateStore":
        """The state of this machine at `path`, made when it is missing.

        `machine` and `cloud_id` may be empty (unknown); an unknown id matches any.

        Raises:
            StateUnavailableError: the file cannot be read or written now; it may hold what must not be forgotten.
            InputError: the file is of a later version.
        """
        try:
            problem = _foreign_file(path, machine, cloud_id)
            if problem:
                aside = _set_aside(path)
                log(f"{path}: {problem}; it was set aside as {aside}, and a new one begins")
            store = cls(_connect(path), log)
            store._bind(machine, cloud_id)
            store._sequence = SequenceFile(f"{path}.seq", store._id())
        except (sqlite3.Error, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StateUnavailableError(f"{path}: the agent's state cannot be kept there: {reason}") from None
        return store

    @classmethod
    def copy(cls, path: str, machine: str, cloud_id: str, log: Callable[[str], None] = lambda _: None) -> "StateStore":
        """In memory what `open` would come to: the file at `path` is only read, and may be open elsewhere.

        Raises:
            InputError: the file is of a later version.
        """
        db = _connected(":memory:")
        try:
            with closing(_connect_to_read(path)) as source:
                problem = _foreign(source, path, machine, cloud_id)
                if not problem:
                    source.backup(db)
        except FileNotFoundError:
            problem = ""
        except (sqlite3.Error, OSError) as error:
            problem = f"cannot be read ({error})"
        if problem:
            log(f"{path}: {problem}; what it holds is left out")
            db = _connected(":memory:")
        db.executescript(_TABLES)
        return cls(db, log)

    def _bind(self, machine: str, cloud_id: str) -> None:
        with self._db:
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (SCHEMA_VERSION,))
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('id', ?)", (token_hex(16),))
            for name, value in (("machine", machine), ("cloud_id", cloud_id)):
                if value:
                    self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, value))

    def _id(self) -> str:
        (value,) = self._db.execute("SELECT value FROM meta WHERE name = 'id'").fetchone()
        return str(value)

    def memory(self) -> Memory:
        """The single values as last written; `seq` goes on from the last that was said, though it could not be.

        One that cannot be is as if it were not there: what was latched stands in the items.
        """
        written = dict(self._db.execute("SELECT name, value FROM meta"))
        known: dict[str, Any] = {}
        for item in fields(Memory):
            value = written.get(item.name, item.default)
            if _is_like(value, item.default):
                known[item.name] = value
            else:
                self._log(f"state.db: {item.name} cannot be read; it begins anew")
        memory = Memory(**known)
        return replace(memory, seq=max(memory.seq, self._sequence.last() if self._sequence else 0))

    def items(self, slot: Slot) -> dict[Key, Change]:
        """All items of a slot by (kind, key).

        A record that cannot be read is no absence, which would forget drift, a login or part of the seal: it is an
        item of its kind and key with `UNKNOWN` attributes.
        """
        found = {}
        for kind, key, text in self._db.execute(_ITEMS, (slot,)):
            name = kind.decode("utf-8", "backslashreplace") or "unknown"
            change = decode(slot, name, os.fsdecode(key), text)
            if change is None:
                change = unknown(slot, name, os.fsdecode(key))
                self._log(
                    f"state.db: the record of {portable(f'{name} {change.key}')} ({slot}) cannot be read; it is kept"
                )
            found[(name, change.key)] = change
        return found

    def write(self, memory: Memory, delta: Delta | None = None) -> None:
        """Both in one transaction, durable on return.

        Raises:
            sqlite3.Error: nothing was written but `seq` (a full disk, a file system gone read-only).
        """
        with self._sequence_kept(memory), self._db:
            self._write(memory, delta or Delta())

    def rewrite(self, memory: Memory, items: Delta) -> None:
        """The same, after every item that stood there was forgotten."""
        with self._sequence_kept(memory), self._db:
            self._db.execute("DELETE FROM item")
            self._write(memory, items)

    @contextmanager
    def _sequence_kept(self, memory: Memory) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error:
            if self._sequence is not None:
                self._sequence.note(memory.seq)
            raise

    def _write(self, memory: Memory, delta: Delta) -> None:
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", asdict(memory).items())
        for slot, keys in delta.drop.items():
            rows = ((slot, kind, os.fsencode(key)) for kind, key in keys)
            self._db.executemany("DELETE FROM item WHERE slot = ? AND kind = ? AND key = ?", rows)
        for slot, changes in delta.put.items():
            puts = ((slot, change.kind, os.fsencode(change.key), encode(change)) for change in changes)
            self._db.executemany("INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?)", puts)

    def close(self) -> None:
        """Closes the database; the store cannot be used after."""
        self._db.close()


def _is_like(value: object, default: object) -> bool:
    """Whether it is such as stands in a field of `Memory`: text, or a count or time that is not below 0."""
    return type(value) is type(default) and not (isinstance(value, int) and value < 0)


def _connect(path: str) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = _connected(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA journal_size_limit = 1048576")
    db.executescript(_TABLES)
    return db


def _connect_to_read(path: str) -> sqlite3.Connection:
    """Nothing is written: a file without a log beside it is open nowhere, and only as such read without making one."""
    os.stat(path)
    alone = "" if os.path.exists(path + "-wal") else "&immutable=1"
    return _connected(f"file:{quote(path)}?mode=ro{alone}")


def _connected(place: str) -> sqlite3.Connection:
    """`place` is a path, an URI or `:memory:`. Damaged text may be no UTF-8, and is text all the same."""
    db = sqlite3.connect(place, uri=place.startswith("file:"), timeout=_LOCK_SECONDS, check_same_thread=False)
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return db


def _foreign_file(path: str, machine: str, cloud_id: str) -> str:
    """Why the file at `path` is not this machine's; empty when it is, or there is none."""
    if not os.path.exists(path):
        return ""
    with closing(_connected(path)) as db:
        return _foreign(db, path, machine, cloud_id)


def _foreign(db: sqlite3.Connection, path: str, machine: str, cloud_id: str) -> str:
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


def _set_aside(path: str) -> str:
    number = 1
    while os.path.exists(aside := f"{path}.aside-{number}"):
        number += 1
    os.replace(path, aside)
    for suffix in ("-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.replace(path + suffix, aside + suffix)
    return aside
