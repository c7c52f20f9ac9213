"""What the last scan saw of a folder, put to use in the next one.

A folder whose own stat is unchanged still holds the same names: it is not listed. Names whose stats are unchanged are
what they were: they are not opened, and come as the lines that they had. What changed within the last two seconds, or
as a file within the last minute, is looked at again: it could change once more and keep its stat.
"""

import os
import time
from collections import deque
from collections.abc import Container, Iterator
from typing import Final

from drift_agent.image import inspect
from drift_agent.image.canonical import decode
from drift_agent.image.entry import Entry, OpenFolder, Seen
from drift_agent.image.look import Looker
from drift_agent.image.policy import Policy
from drift_agent.image.stat_record import (
    ENTERED,
    HIDDEN,
    HIDDEN_DESCEND,
    NO_STAT,
    PLAIN,
    SINGLE,
    SINGLE_DESCEND,
    STAT_BYTES,
    Record,
    RecordBuilder,
    Stat,
    Stored,
    pack,
    stat_key,
)
from drift_agent.image.statcache import StatCache

FRESH_NS: Final = 2_000_000_000
"""How long something must have been left alone before its stat is trusted."""

WRITTEN_BACK_NS: Final = 58_000_000_000
"""How much longer a file must: who has it mapped writes on without a change of its times until the kernel has written
the page back, which by default it does within 35 s."""

MAX_LATER: Final = 4096
"""Names in folders that are remembered once a folder before them is finished; beyond it that one is waited for."""

MAX_NAMES: Final = 20_000
"""A folder of more is not remembered: a record is held in memory whole."""


class Run:
    """`count` entries in a row as the last scan saw them: none sealed, none with an error. `lines` are theirs."""

    __slots__ = ("count", "lines")
    unfinished: Final = None

    def __init__(self, lines: bytes, count: int) -> None:
        self.lines = lines
        self.count = count

    def finish(self) -> bool:
        """As of an `Entry`: there is nothing to wait for."""
        return True

    def entries(self, policy: Policy) -> Iterator[Entry]:
        """The same, one by one."""
        for line in self.lines.splitlines(keepends=True):
            key = decode(line).key
            yield Entry(key, policy.decide(key), line)


class Recall:
    """Looks at folders, in walk order, by way of a cache.

    Nothing is remembered of a folder on one of the `unsteady` devices: there a stat does not tell every change.
    """

    def __init__(self, looker: Looker, cache: StatCache, unsteady: Container[int]) -> None:
        self._looker = looker
        self._cache = cache
        self._unsteady = unsteady
        self._began = time.time_ns()
        self._later: deque[_Looked | Stored] = deque()
        self._names_later = 0

    def steps(self, folder: OpenFolder) -> Iterator[Entry | Run | str] | Run:
        """The entries of an open folder, each folder's name behind its entry; one run where nothing is to enter.

        Raises:
            OSError: it cannot be listed.
        """
        status = os.fstat(folder.descriptor)
        if status.st_dev in self._unsteady:
            return self._looker.steps(folder, inspect.listing(folder.descriptor))
        own = stat_key(status)
        stored = self._cache.take(folder.key)
        if stored is not None:
            names = stored.names()
            if names and _stats(folder.descriptor, own, names) == stored.stats:
                self._remember_later(stored)
                return self._recorded(folder, stored, names) if any(stored.ways) else Run(stored.lines, len(names))
        return self._renewed(folder, own, stored)

    def _recorded(self, folder: OpenFolder, stored: Stored, names: list[bytes]) -> Iterator[Entry | Run | str]:
        for number, way, count, lines in stored.parts():
            name = names[number].decode("utf-8", "surrogateescape")
            if way in (SINGLE, SINGLE_DESCEND):
                yield Entry(folder.path_of(name), self._looker.ruling(folder.state.child(name)).compared, lines)
            elif lines:
                yield Run(lines, count)
            if way in ENTERED:
                yield name

    def finish(self) -> None:
        """Remembers what is left, once everything that was handed on is finished."""
        self._remember()

    def _renewed(self, folder: OpenFolder, own: Stat, stored: Stored | None) -> Iterator[Entry | str]:
        """Lists the folder, looks at what changed, remembers it anew."""
        listed = self._looked_at(folder, inspect.listing(folder.descriptor))
        names = [name for name, _ in listed]
        stats = _stats(folder.descriptor, own, names) if 0 < len(names) <= MAX_NAMES else b""
        if not stats:
            return self._looker.steps(folder, listed)
        record = stored.record() if stored is not None else None
        known = record.by_name() if record is not None else {}
        looked = _Looked(folder.key, own)
        for number, (name, is_file) in enumerate(listed, 1):
            now = stats[number * STAT_BYTES : (number + 1) * STAT_BYTES]
            stat_then, way, line = known.get(name.encode("utf-8", "surrogateescape"), (b"", PLAIN, b""))
            if stat_then == now:
                looked.names.append((self._as_known(folder, name, way, line), now))
            elif seen := self._seen(folder, name, is_file=is_file):
                looked.names.append((seen, None))
            else:
                looked.complete = False
        # never later than the stats were taken, on a clock that was set back meanwhile neither
        looked.trusted_before = min(self._began, time.time_ns()) - FRESH_NS
        self._remember_later(looked)
        return looked.steps()

    def _remember_later(self, folder: "_Looked | Stored") -> None:
        self._later.append(folder)
        self._names_later += folder.count
        self._remember()

    def _remember(self) -> None:
        """Remembers folders in their order, as far as they are finished, or must be."""
        while self._later:
            first = self._later[0]
            if isinstance(first, Stored):
                self._cache.same(first)
            elif not first.is_finished(wait=self._names_later > MAX_LATER):
                return
            elif (record := first.record()) is not None:
                self._cache.keep(record)
            self._later.popleft()
            self._names_later -= first.count

    def _seen(self, folder: OpenFolder, name: str, *, is_file: bool) -> Seen | None:
        given = self._looker.give(folder, name, self._looker.ruling(folder.state.child(name))) if is_file else None
        return self._looker.look(folder, name) if given is None else Seen(name, given, NO_STAT)

    def _as_known(self, folder: OpenFolder, name: str, way: int, line: bytes) -> Seen:
        entry = None
        if way not in (HIDDEN, HIDDEN_DESCEND):
            entry = Entry(folder.path_of(name), self._looker.ruling(folder.state.child(name)).compared, line)
        return Seen(name, entry, NO_STAT, way in ENTERED)

    def _looked_at(self, folder: OpenFolder, listed: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
        """What of a listing is not ignored with all that may be below."""
        alike = folder.state.child_of_any([name for name, _ in listed])
        if alike is not None:
            return listed if self._looker.ruling(alike).is_looked_at else []
        return [one for one in listed if self._looker.ruling(folder.state.child(one[0])).is_looked_at]


class _Looked:
    """A folder that was looked at anew, and its names with the stats that were trusted before."""

    def __init__(self, key: str, own: Stat) -> None:
        self.names: list[tuple[Seen, bytes | None]] = []
        self.complete = True
        self.trusted_before = 0
        self._finished = 0
        self._key = key
        self._own = own

    def steps(self) -> Iterator[Entry | str]:
        """Its entries, each folder's name behind its entry."""
        for seen, _ in self.names:
            if seen.entry is not None:
                yield seen.entry
            if seen.enter:
                yield seen.name

    @property
    def count(self) -> int:
        """How many names were looked at."""
        return len(self.names)

    def is_finished(self, *, wait: bool) -> bool:
        """Whether nobody is at any of its entries any more, or waits until it is so."""
        while self._finished < len(self.names):
            entry = self.names[self._finished][0].entry
            if entry is not None and entry.unfinished is not None and not wait:
                return False
            if entry is not None:
                entry.finish()
            self._finished += 1
        return True

    def record(self) -> Record | None:
        """What is to be known of it; None where not everything could be seen."""
        builder = RecordBuilder(self._own, self.trusted_before, self.trusted_before - WRITTEN_BACK_NS)
        for seen, trusted in self.names:
            entry = seen.entry
            if entry is not None and (entry.error or entry.hidden_below or not entry.line):
                self.complete = False
            if not self.complete:
                return None
            status = entry.stat if entry is not None and entry.stat is not None else seen.stat
            builder.add(seen.name, trusted, status, seen.way, entry.line if entry is not None else b"")
        return builder.record(self._key)


def _stats(descriptor: int, own: Stat, names: list[str] | list[bytes]) -> bytes:
    """The stat of a folder and those of names in it, packed; nothing where one is gone, or may not be looked at."""
    numbers = [*own]
    look = os.lstat
    try:
        for name in names:  # `stat_key` by hand: this is where an unchanged rescan spends its time
            s = look(name, dir_fd=descriptor)
            numbers += (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
    except OSError:
        return b""
    return pack(numbers)
