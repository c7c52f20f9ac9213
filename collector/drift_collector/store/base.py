"""What a store of reports is: the newest word of each instance, and the items behind it.

Times are Unix ns. Everything in a report was said by a host and is hostile: strings may hold anything, counts may
lie; only the types are certain, for the readers check them (`report_of`, `item_of`).
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from drift_agent.line_protocol import unportable
from drift_agent.model import Attributes
from drift_agent.schema import DRIFT

ResetKind: TypeAlias = Literal["seq", "sealed", "seal", "start", "latch"]

MAX_ITEMS: Final = 1_100
"""More than an agent ever sends in one set (1,000 and a count of the rest)."""


@dataclass(frozen=True, slots=True)
class Reset:
    """A sign that an agent's memory was wiped or copied.

    `seq`: the same `seq` came twice with different times; `start`: so did one from before the seal; `sealed`: the time
    of the seal changed; `seal`: its digest did; `latch`: drift or a login, which an agent keeps for life, was forgotten
    under the same seal. `new_boot` says that the machine was booted between the two: only then may a volatile state
    folder start and seal anew.
    """

    kind: ResetKind
    before: str
    after: str
    at: int
    """Time of the point that showed it, Unix ns."""
    new_boot: bool


@dataclass(frozen=True, slots=True)
class DriftReport:
    """One `drift` point: the tags and fields of `schema.DRIFT`, decoded, absent ones at their defaults."""

    time: int
    instance: str
    host: str = ""
    image: str = ""
    group: str = "default"
    state: str = ""
    manifest: str = ""
    observed: str = ""
    seal: str = ""
    policy: str = ""
    agent_version: str = ""
    boot_id: str = ""
    added: int = 0
    removed: int = 0
    modified: int = 0
    reverted: int = 0
    logins: int = 0
    unreadable: int = 0
    scanned: int = 0
    seq: int = 0
    report: int = 0
    since: int = 0
    sealed: int = 0
    scan_at: int = 0
    interval: int = 0
    scan_interval: int = 0
    degraded: int = 0
    scan_seconds: float = 0.0
    clock_offset: float = 0.0
    resets: tuple[Reset, ...] = ()
    """Signs of a wiped memory that the store knows of this instance, oldest first; not part of the point."""


@dataclass(frozen=True, slots=True)
class DriftItem:
    """One `drift_item` point: an outstanding item of the set that began at `report`."""

    time: int
    instance: str
    kind: str
    change: str
    key: str
    path_class: str = ""
    severity: str = ""
    expected: Attributes = field(default_factory=dict)
    actual: Attributes = field(default_factory=dict)
    diff: str = ""
    report: int = 0
    first_seen: int = 0


class Store(Protocol):
    """Where reports are read from. Every method raises `StoreError` when the store is down or answers nonsense."""

    def newest(self, since: int, until: int) -> Iterator[DriftReport]:
        """The newest report of each instance among the points with since <= time <= until, in no order.

        The newest is the one with the greater `seq` where `sealed` is equal, else the later one (`is_newer`).
        Of reports whose state is `clean`, fields that no verdict needs may stand at their defaults.
        """

    def lookback(self, before: int, instances: Collection[str] | None = None) -> Iterator[DriftReport]:
        """The newest report with time < before of each of `instances`, complete.

        None: at least of each instance that has no report since `before`; others may be among them.
        """

    def items(self, report: DriftReport) -> list[DriftItem]:
        """The items of the set that `report` speaks of, in the order of the set; at most `MAX_ITEMS`.

        A store may hold fewer than the report announces: sets arrive in parts. The caller says so.
        """

    def close(self) -> None:
        """Gives back connections and files; may be called twice."""


class Stamp(NamedTuple):
    """What of a report says where it stands among those of its instance; the fields are `DriftReport`'s."""

    time: int
    sealed: int
    seq: int
    seal: str = ""


def is_newer(candidate: DriftReport | Stamp, known: DriftReport | Stamp) -> bool:
    """Whether `candidate` is the later word: by `seq` where `sealed` is equal (clocks step back), else by time."""
    if candidate.sealed == known.sealed and candidate.seq != known.seq:
        return candidate.seq > known.seq
    return candidate.time > known.time


_KIND_OF_FIELD: Final[dict[str, type]] = {
    name: {"s": str, "i": int, "f": float}[declared.type] for name, declared in DRIFT.fields.items()
}
_REPORT_FIELDS: Final = frozenset(item.name for item in fields(DriftReport)) & _KIND_OF_FIELD.keys()


def report_of(
    time: int,
    tags: Mapping[str, str],
    values: Mapping[str, Any],
    resets: tuple[Reset, ...] = (),
    *,
    decode: bool = True,
) -> DriftReport:
    """A report from a point's tags and fields as a store keeps them: strings in their portable form.

    They are decoded, unless `decode` is false: a store keeps what it was given.
    Fields of another type than declared, and unknown ones, are left out: a store is not believed about types.
    """
    known: dict[str, Any] = {}
    for name in _REPORT_FIELDS:
        value = values.get(name)
        wanted = _KIND_OF_FIELD[name]
        if isinstance(value, str):
            value = unportable(value) if decode else value
        elif wanted is float and type(value) is int:
            value = float(value)
        if type(value) is wanted:
            known[name] = value
    return DriftReport(
        time=time,
        instance=tags.get("instance", ""),
        host=tags.get("host", ""),
        image=tags.get("image", ""),
        group=tags.get("group") or "default",
        resets=resets,
        **known,
    )


def item_of(time: int, tags: Mapping[str, str], values: Mapping[str, Any]) -> DriftItem:
    """An item from a point's tags and fields as a store keeps them; what is missing or ill-typed is empty."""

    def text(name: str) -> str:
        value = values.get(name)
        return unportable(value) if isinstance(value, str) else ""

    def number(name: str) -> int:
        value = values.get(name)
        return value if type(value) is int else 0

    return DriftItem(
        time=time,
        instance=tags.get("instance", ""),
        kind=tags.get("kind", ""),
        change=tags.get("change", ""),
        key=text("key"),
        path_class=text("class"),
        severity=text("severity"),
        expected=_attributes(text("expected")),
        actual=_attributes(text("actual")),
        diff=text("diff"),
        report=number("report"),
        first_seen=number("first_seen"),
    )


def _attributes(text: str) -> Attributes:
    """The attributes of a JSON object; nested values as their JSON text; no object at all as none."""
    try:
        loaded = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {"unparsed": text[:1000]}
    if not isinstance(loaded, dict):
        return {"unparsed": text[:1000]}
    return {
        str(name): value if isinstance(value, str | int | bool) or value is None else json.dumps(value)
        for name, value in loaded.items()
    }
