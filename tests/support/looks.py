"""A machine that a test changes by hand, compared with an image that is only a set of attributes."""

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from typing import ParamSpec, TypeVar

from drift_agent.drift.check_result import CheckResult, Scope
from drift_agent.drift.runtime.fact import Observation
from drift_agent.errors import DriftlineError
from drift_agent.model import Change, ChangeKind, Unreadable

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class FakeComparison:
    """`changes` is what differs now; `looked_at` is what it was asked to look at, None for everything."""

    changes: list[Change] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    running: list[Change] = field(default_factory=list)
    not_running: list[Unreadable] = field(default_factory=list)
    digest: str = "1:sha256:image"
    shared: list[Change] = field(default_factory=list)
    kinds: tuple[str, ...] = ("file",)
    policy_digest: str = "1:sha256:policy"
    looked_at: list[frozenset[str] | None] = field(default_factory=list)
    rehashed: list[bool] = field(default_factory=list)
    omitted: dict[ChangeKind, int] = field(default_factory=dict)
    during_scan: Callable[[], None] = lambda: None

    def tree(self, progress: Callable[[int], None], pace: Callable[[int], None], *, rehash: bool) -> CheckResult:
        self.rehashed.append(rehash)
        self.looked_at.append(None)
        result = self._result(self.changes)
        self.during_scan()
        progress(result.scanned)
        return result

    def paths(self, paths: Collection[str], trees: Collection[str]) -> CheckResult:
        self.looked_at.append(frozenset(paths) | frozenset(trees))
        scope = Scope(frozenset(("file", path) for path in paths), tuple(trees), everything=False)
        seen = (change for change in self.changes if scope.covers(change.kind, change.key))
        return replace(self._result(seen), observed="", scope=scope)

    def runtime(self) -> Observation:
        return Observation(list(self.running), list(self.not_running))

    def shared_identities(self, result: CheckResult) -> list[Change]:
        return list(self.shared)

    def compares(self, kind: str) -> bool:
        return kind in self.kinds

    def is_ignored(self, path: str) -> bool:
        return False

    def close(self) -> None:
        pass

    def _result(self, changes: Iterable[Change]) -> CheckResult:
        observed = "1:sha256:other" if self.changes else self.digest
        return CheckResult(list(changes), 3, list(self.unreadable), [], observed, 0.25, omitted=self.omitted)


class InlineExecutor(Executor):
    """Does at once what is submitted, in the caller's thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except DriftlineError as error:
            future.set_exception(error)
        return future


def modified(path: str, **actual: str) -> Change:
    """A frozen file of another content."""
    actual = actual or {"sha256": "bad"}
    return Change("file", path, "modified", expected=dict.fromkeys(actual, "as-baked"), actual=actual)
