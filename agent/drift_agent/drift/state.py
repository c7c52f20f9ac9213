"""`state.db`: what the agent must not forget. Every write is on the disk when it returns (synchronous FULL).

It belongs to one machine: opened with another machine's id or cloud id it is set aside, never reused, for a copied
state folder must not lend its history to a new instance (`state_file`).
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from secrets import token_hex
from typing import Any, Final

from drift_agent.drift import state_file
from drift_agent.drift.sequence import SequenceFile
from drift_agent.drift.state_record import Delta, Slot, decode, encode, unknown
from drift_agent.errors import InputError
from drift_agent.line_protocol import portable
from drift_agent.model import Change, Key

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
            problem = state_file.why_foreign_file(path, machine, cloud_id)
            if problem:
                aside = state_file.set_aside(path)
                log(f"{path}: {problem}; it was set aside as {aside}, and a new one begins")
            store = cls(state_file.connect(path), log)
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
        db = state_file.in_memory()
        try:
            with closing(state_file.connect_to_read(path)) as source:
                problem = state_file.why_foreign(source, path, machine, cloud_id)
                if not problem:
                    source.backup(db)
        except FileNotFoundError:
            problem = ""
        except (sqlite3.Error, OSError) as error:
            problem = f"cannot be read ({error})"
        if problem:
            log(f"{path}: {problem}; what it holds is left out")
            db = state_file.in_memory()
        db.executescript(state_file.TABLES)
        return cls(db, log)

    def _bind(self, machine: str, cloud_id: str) -> None:
        with self._db:
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (state_file.SCHEMA_VERSION,))
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
