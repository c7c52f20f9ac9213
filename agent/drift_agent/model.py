"""The values that everything else speaks of: items, changes, points. Frozen; no behaviour beyond their own shape."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

AttributeValue: TypeAlias = "str | int | bool | None"
Attributes: TypeAlias = Mapping[str, AttributeValue]

ChangeKind: TypeAlias = Literal["added", "removed", "modified", "reverted"]
Severity: TypeAlias = Literal["low", "medium", "high"]
PathClass: TypeAlias = Literal["frozen", "sealed", "structural", "ignored"]
State: TypeAlias = Literal["pending", "clean", "drifted", "tainted", "unverified", "stopped", "terminated"]
Lane: TypeAlias = Literal["drift", "logs", "metrics"]

LANES: Final[tuple[Lane, ...]] = ("drift", "logs", "metrics")
"""From the one that leaves first to the one that is dropped first."""

Key: TypeAlias = tuple[str, str]
"""Kind and key of an item."""

FieldValue: TypeAlias = "float | int | str | bool"


@dataclass(frozen=True, slots=True)
class Item:
    """Something an image fixes: a file, a package, a user.

    `key` of a file is its path as `os.fsdecode` gives it (bytes that are not UTF-8 are surrogates), beginning with
    `/`; of other kinds a name. Attributes that could not be read are absent; those that do not apply too.
    """

    kind: str
    key: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that had to be looked at and could not be; `error` is one short sentence."""

    kind: str
    key: str
    error: str


@dataclass(frozen=True, slots=True)
class Change:
    """One item that is not as it should be.

    `expected` and `actual` hold only the attributes that differ: for `added`, `expected` is empty; for `removed`,
    `actual` is. `diff` is a bounded, redacted unified diff, or empty.
    """

    kind: str
    key: str
    change: ChangeKind
    path_class: PathClass = "frozen"
    severity: Severity = "medium"
    expected: Attributes = field(default_factory=dict)
    actual: Attributes = field(default_factory=dict)
    diff: str = ""
    first_seen: int = 0
    """Unix time in ns at which it was first seen; 0 where nobody kept count."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a series: the shape of InfluxDB's line protocol.

    `time` is Unix time in ns. Tag values are never empty. A field's Python type is its type on the wire: float `f`,
    int `i` (64 bit, signed), str `s`, bool `b`; NaN and infinities are refused by the encoder.
    """

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, FieldValue]
    time: int
