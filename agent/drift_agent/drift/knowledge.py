"""What is known of this instance, in memory and in `state.db`: each look is taken in, and written before it is said.

A look goes through the seal (what first boot may set once) and the ledger (what was put back is not forgotten).
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from drift_agent.drift import seal
from drift_agent.drift.ledger import Ledger, advance, is_empty
from drift_agent.drift.runtime.sockets import is_fewer
from drift_agent.drift.state import Memory, StateStore
from drift_agent.drift.state_record import Delta
from drift_agent.image.paths import is_within
from drift_agent.model import Change, ChangeKind, Key, Unreadable

_ALLOWED: Final = frozenset({("socket", "removed"), ("running_sysctl", "removed"), ("manifest", "added")})
"""What may differ from the seal: a service may stop, or not have started yet, and so not have set what the kernel runs;
and a seal of older versions does not hold the manifest."""


def _is_allowed(change: Change) -> bool:
    return (change.kind, change.change) in _ALLOWED or is_fewer(change)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: every change of what `covers` says was looked at, and what could not be read of it.

    `omitted` counts what a complete look found beyond that, by kind of change; None where the look was no complete one.
    """

    changes: list[Change]
    unreadable: list[Unreadable]
    covers: Callable[[str, str], bool]
    omitted: Mapping[ChangeKind, int] | None = None


class Knowledge:
    """Used by one thread at a time."""

    def __init__(
        self,
        store: StateStore,
        log: Callable[[str], None],
        now: int,
        inform: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`now` (Unix ns) is this instance's first boot, where nothing was known of it yet.

        `log` is told of trouble, and `inform` of what goes as it should.
        """
        self._store = store
        self._log = log
        self._inform = inform
        self._stale = False
        """Whether the last write failed, so that `state.db` does not hold what is known."""
        self._seal = store.items("seal")
        self.memory = store.memory()
        self.ledger = Ledger(store.items("open"), store.items("reverted"))
        self.logins = store.items("login")
        self.unreadable: Mapping[Key, Unreadable] = {}
        self.omitted: Mapping[ChangeKind, int] = {}
        """What the last complete look found beyond what is kept, by kind of change: counted, and not listed."""
        self.notes: list[Change] = []
        """Listed with the items, and counted nowhere: faults of the image, which no instance can help."""
        if not self.memory.first_boot:
            self.memory = replace(self.memory, first_boot=now)

    @property
    def differs(self) -> bool:
        """Whether any item differs, or did."""
        return bool(self.ledger.open or self.ledger.reverted)

    def changes(self) -> list[Change]:
        """Everything that is listed: what differs, what did, who logged in, and the notes."""
        return [*self.ledger.open.values(), *self.ledger.reverted.values(), *self.logins.values(), *self.notes]

    def count(self, change: ChangeKind) -> int:
        """How many items differ now in this way."""
        return sum(item.change == change for item in self.ledger.open.values()) + self.omitted.get(change, 0)

    def take_in(self, look: Look, now: int, *, settled: bool = False) -> bool:
        """Takes a look in, and seals where first boot is over (`settled`); whether anything is other than before."""
        unreadable_before = self.unreadable.keys()
        self._take_in_what_is_missing(look)

        def in_scope(key: Key) -> bool:
            return look.covers(*key) and not self._is_unreadable(key)

        seen = {(change.kind, change.key): change for change in look.changes}
        sealed = settled and not self.memory.sealed and self._set_seal(seal.of(seen), now)
        memory = self.memory
        found = {key: change for key, change in seen.items() if change.path_class != "sealed"}
        if memory.sealed:
            found |= {
                key: change
                for key, change in seal.compare(self._seal, seen, in_scope).items()
                if not _is_allowed(change)
            }
        self.ledger, moved = advance(self.ledger, found, in_scope, now, latch=bool(memory.sealed))
        if is_empty(moved):
            return sealed or unreadable_before != self.unreadable.keys()
        self.write(memory, moved)
        return True

    def _take_in_what_is_missing(self, look: Look) -> None:
        """What of the look could not be read, or was too much to be kept."""
        elsewhere = {key: one for key, one in self.unreadable.items() if not look.covers(*key)}
        self.unreadable = {**elsewhere, **{(one.kind, one.key): one for one in look.unreadable}}
        if look.omitted is not None:
            if look.omitted and not self.omitted:
                self._log(f"{sum(look.omitted.values())} items differ beyond the {len(look.changes)} that are kept")
            self.omitted = look.omitted

    def _set_seal(self, items: dict[Key, Change], now: int) -> bool:
        """Seals, if the disk takes it: a seal that a restart forgets would be made twice, which reads as wiped."""
        unsealed, self._seal = self.memory, items
        self.write(replace(unsealed, sealed=now, seal=seal.digest(items)), Delta({"seal": items.values()}))
        if self._stale:
            self.memory, self._seal = unsealed, {}
            return False
        self._inform(f"first boot is over: sealed {len(items)} of this instance's items")
        return True

    def take_in_logins(self, logins: list[Change], now: int) -> bool:
        """Adds who logged in, for good; whether any of them is new."""
        fresh = [replace(login, first_seen=now) for login in logins if (login.kind, login.key) not in self.logins]
        if not fresh:
            return False
        self.logins |= {(login.kind, login.key): login for login in fresh}
        self.write(self.memory, Delta({"login": fresh}))
        return True

    def note(self, notes: list[Change], now: int) -> None:
        """Puts these in the place of the notes."""
        before = {change.key for change in self.notes}
        self.notes = [replace(change, first_seen=now) for change in notes]
        for change in notes:
            if change.key not in before:
                self._log(f"{change.key} is the image's own: every instance of it has the same")

    def _is_unreadable(self, key: Key) -> bool:
        """What cannot be read was not seen: it has not been put right."""
        kind, name = key
        return key in self.unreadable or any(
            kind == other and (kind != "file" or is_within(name, top)) for other, top in self.unreadable
        )

    def write(self, memory: Memory, delta: Delta | None = None) -> None:
        """Puts it on the disk. What cannot be written stays in memory, and is written with what comes next."""
        self.memory = memory
        try:
            if self._stale:
                self._store.rewrite(memory, self._everything())
            else:
                self._store.write(memory, delta)
        except sqlite3.Error as error:
            if not self._stale:
                self._log(f"state.db cannot be written ({error}): what is known now would not survive a restart")
            self._stale = True
        else:
            self._stale = False

    def _everything(self) -> Delta:
        return Delta(
            {
                "open": self.ledger.open.values(),
                "reverted": self.ledger.reverted.values(),
                "seal": self._seal.values(),
                "login": self.logins.values(),
            }
        )

    def close(self) -> None:
        """Closes `state.db`."""
        self._store.close()
