"""The paths that may have changed: filled by a watcher, taken by the detector. Thread-safe and bounded."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from threading import Lock
from typing import Final

QUIET_SECONDS: Final = 0.03
"""How long nothing may come in before the set is taken: a save is several events."""

LONGEST_SECONDS: Final = 0.2
"""How long the first event may wait at most, however busy the tree is."""

MAX_PATHS: Final = 1000
"""Beyond this many looking at everything again is cheaper: a path costs what fifty unchanged ones do in a rescan."""


@dataclass(frozen=True, slots=True)
class Dirty:
    """What was taken: single paths, and folders with everything below them.

    `everything`: hints were lost, or too many; only a rescan is the truth.
    """

    paths: frozenset[str] = frozenset()
    trees: frozenset[str] = frozenset()
    everything: bool = False

    def joined(self, other: "Dirty") -> "Dirty":
        """Both together; everything where they are too many."""
        both = Dirty(self.paths | other.paths, self.trees | other.trees, self.everything or other.everything)
        return both if len(both.paths) + len(both.trees) <= MAX_PATHS else Dirty(everything=True)


class DirtySet:
    """Marks come in from any thread, the first calls `wake`; one reader asks when the set is ripe, and takes it.

    The others only put off when it is ripe, and whoever waits for that asks again then.
    """

    def __init__(self, wake: Callable[[], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wake = wake
        self._monotonic = monotonic
        self._lock = Lock()
        self._paths: set[str] = set()
        self._trees: set[str] = set()
        self._everything = False
        self._first = 0.0
        self._last = 0.0

    def mark(self, path: str) -> None:
        """`path` (below the root, beginning with `/`) may differ now."""
        self.mark_all((path,))

    def mark_all(self, paths: Collection[str], trees: Collection[str] = ()) -> None:
        """The same for many under one lock, and for folders with everything below; nothing happens for none."""
        if not paths and not trees:
            return
        with self._lock:
            if not self._everything:
                self._paths.update(paths)
                self._trees.update(trees)
            self._everything = self._everything or len(self._paths) + len(self._trees) > MAX_PATHS
            is_first = self._stamp()
        if is_first:
            self._wake()

    def mark_everything(self) -> None:
        """Hints were lost."""
        with self._lock:
            self._everything = True
            is_first = self._stamp()
        if is_first:
            self._wake()

    def _stamp(self) -> bool:
        """Says when the last mark came; whether it was the first."""
        now = self._monotonic()
        is_first = not self._first
        if is_first:
            self._first = now
        self._last = now
        if self._everything:
            self._paths.clear()
            self._trees.clear()
        return is_first

    def ripe_in(self) -> float | None:
        """Seconds until the set should be taken (0.0: now); None while it is empty."""
        with self._lock:
            if not self._first:
                return None
            ripe = min(self._last + QUIET_SECONDS, self._first + LONGEST_SECONDS)
            return max(0.0, ripe - self._monotonic())

    def take(self) -> Dirty:
        """All of it; the set is empty afterwards."""
        with self._lock:
            taken = Dirty(frozenset(self._paths), frozenset(self._trees), self._everything)
            self._paths, self._trees, self._everything, self._first = set(), set(), False, 0.0
            return taken
