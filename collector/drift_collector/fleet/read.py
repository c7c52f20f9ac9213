"""A fleet as its store has it: what verdicts are made from, the present window first, further back for the rest."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from drift_collector.fleet.model import Fleet, Trusted, Verdict
from drift_collector.fleet.rules import LEAST_FRESHNESS
from drift_collector.fleet.verdict import judge
from drift_collector.store.base import DriftReport, Store

WINDOW = 5 * LEAST_FRESHNESS
END_OF_TIME = 2**63 - 2
"""The last ns that every engine takes as a bound: a report from the far future is a finding, and must be found."""


def judged(
    store: Store,
    now: int,
    trusted: Mapping[str, Trusted] | None = None,
    expected: Collection[str] | int | None = None,
) -> Fleet:
    """The verdicts on what `store` holds, at `now` (Unix ns), as `judge` makes them.

    Raises:
        StoreError: the store is down, or answers nonsense.
    """
    return judge(read_reports(store, now), now, trusted, expected)


def read_reports(store: Store, now: int) -> Iterator[DriftReport]:
    """The newest report of each instance that `store` knows, older ones too; `judge` tells which one counts.

    Raises:
        StoreError: the store is down, or answers nonsense.
    """
    since = now - WINDOW
    yield from store.newest(since, END_OF_TIME)
    yield from store.lookback(since)


def select(verdicts: Iterable[Verdict], name: str) -> list[Verdict]:
    """The verdicts that `name` means: an instance or host of that name, else all whose instance or host begins so."""
    known = list(verdicts)
    exact = [verdict for verdict in known if verdict.instance == name]
    if exact:
        return exact
    hosts = [verdict for verdict in known if verdict.host == name]
    if hosts or not name:
        return hosts
    return [verdict for verdict in known if verdict.instance.startswith(name) or verdict.host.startswith(name)]
