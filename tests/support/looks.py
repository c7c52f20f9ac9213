"""A machine that a test changes by hand, compared with an image that is only a set of attributes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from drift_agent.model import Change, Unreadable


@dataclass
class FakeResult:
    changes: list[Change] = field(default_factory=list)
    scanned: int = 3
    unreadable: list[Unreadable] = field(default_factory=list)
    observed: str = "1:sha256:image"
    seconds: float = 0.25


@dataclass
class FakeComparison:
    """`changes` is what differs now; `looked_at` is what it was asked to look at, None for everything."""

    changes: list[Change] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    digest: str = "1:sha256:image"
    policy_digest: str = "1:sha256:policy"
    looked_at: list[frozenset[str] | None] = field(default_factory=list)
    during_scan: Callable[[], None] = lambda: None

    def tree(self, progress: Callable[[], None]) -> FakeResult:
        self.looked_at.append(None)
        result = self._result(self.changes)
        self.during_scan()
        progress()
        return result

    def paths(self, paths: Iterable[str]) -> FakeResult:
        wanted = frozenset(paths)
        self.looked_at.append(wanted)
        return self._result(change for change in self.changes if change.key in wanted)

    def is_ignored(self, path: str) -> bool:
        return False

    def close(self) -> None:
        pass

    def _result(self, changes: Iterable[Change]) -> FakeResult:
        observed = "1:sha256:other" if self.changes else self.digest
        return FakeResult(list(changes), unreadable=list(self.unreadable), observed=observed)


def modified(path: str, **actual: str) -> Change:
    """A frozen file of another content."""
    actual = actual or {"sha256": "bad"}
    return Change("file", path, "modified", expected=dict.fromkeys(actual, "as-baked"), actual=actual)
