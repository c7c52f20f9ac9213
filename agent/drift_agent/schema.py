"""The vocabulary in which every measurement is declared, and the measurements of drift itself.

A `Measurement` says which tags and fields a point may have, with their types and units. It drives the encoder (a
type can never flip: `conform` is on the way of every point), `drift-agent test`, the reference in `docs/` and the
tests. A metric declares its own beside the code that fills it (`metrics/*.py`); what is here belongs to no metric.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from drift_agent.model import FieldValue, Point

FieldType: TypeAlias = Literal["f", "i", "s"]

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


_PYTHON_TYPES: Final[Mapping[FieldType, type]] = {"f": float, "i": int, "s": str}


class SchemaError(ValueError):
    """A point does not fit its declaration: a mistake of ours, counted, never shipped."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its type on the wire, its unit (`bytes`, `percent`, `ns`, `1` for a count) and what it says."""

    type: FieldType
    unit: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement. `rest` is the type of fields that are not listed; None where there may be none."""

    name: str
    help: str
    tags: tuple[str, ...]
    fields: Mapping[str, Field]
    rest: FieldType | None = None

    def conform(self, point: Point) -> Point:
        """The same point with every field in its declared type.

        Ints become floats where the field is a float; nothing else is converted.

        Raises:
            SchemaError: an unknown tag or field, or a value of another type or beyond int64.
        """
        for tag in point.tags:
            if tag not in self.tags:
                raise SchemaError(f"{self.name}: tag {tag!r} is not declared")
        if self._fits(point.fields):
            return point
        fields = {name: self._conform_field(name, value) for name, value in point.fields.items()}
        return Point(point.measurement, point.tags, fields, point.time)

    def _fits(self, values: Mapping[str, FieldValue]) -> bool:
        """Whether there is nothing to convert, and nothing to complain of: so it is with nearly every point."""
        declared, rest = self.fields, self.rest
        for name, value in values.items():
            field = declared.get(name)
            wanted = field.type if field is not None else rest
            kind = type(value)
            if kind is int:
                if wanted != "i" or not INT64_MIN <= value <= INT64_MAX:  # type: ignore[operator]
                    return False
            elif wanted is None or kind is not _PYTHON_TYPES[wanted]:
                return False
        return True

    def _conform_field(self, name: str, value: FieldValue) -> FieldValue:
        declared = self.fields.get(name)
        wanted = declared.type if declared is not None else self.rest
        if wanted is None:
            raise SchemaError(f"{self.name}: field {name!r} is not declared")
        if wanted == "f" and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if wanted == "i" and isinstance(value, int) and not isinstance(value, bool):
            if INT64_MIN <= value <= INT64_MAX:
                return value
            raise SchemaError(f"{self.name}: {name} = {value} does not fit in 64 bits")
        if wanted == "s" and isinstance(value, str):
            return value
        raise SchemaError(f"{self.name}: {name} is declared {wanted!r} and got {type(value).__name__}")


def fields(type_: FieldType, unit: str, names: str) -> dict[str, Field]:
    """Fields of one type and unit, by their names in one string: `fields("i", "bytes", "total used free")`."""
    return {name: Field(type_, unit) for name in names.split()}


GLOBAL_TAGS: Final = ("host", "image", "group")
"""Put on every point that leaves, when it is encoded; no measurement declares them."""

DRIFT: Final = Measurement(
    "drift",
    "What the agent says of its own machine: every report interval, and at each change.",
    ("instance",),
    {
        "state": Field("s", "", "pending, clean, drifted, tainted, unverified, stopped or terminated"),
        "manifest": Field("s", "", "digest of the manifest compared with, from its header"),
        "observed": Field("s", "", "digest over what was seen of the same items"),
        "seal": Field("s", "", "digest of the sealed class, empty before the seal"),
        "policy": Field("s", "", "digest of the effective policy"),
        "agent_version": Field("s", "", "version of the agent"),
        "boot_id": Field("s", "", "the kernel's boot id"),
        **fields("i", "1", "added removed modified reverted logins unreadable scanned"),
        "seq": Field("i", "1", "counts the points of this instance since its first boot"),
        "report": Field("i", "ns", "stamp of the newest item set"),
        "since": Field("i", "ns", "when the present state began"),
        "sealed": Field("i", "ns", "when the seal was made, 0 before it"),
        "scan_at": Field("i", "ns", "end of the last complete scan, 0 before the first since boot"),
        "interval": Field("i", "s", "the report interval"),
        "scan_interval": Field("i", "s", "the scan interval"),
        "degraded": Field("i", "bool", "1 where watching fell back to scanning alone"),
        "scan_seconds": Field("f", "s", "duration of the last complete scan"),
        "clock_offset": Field("f", "s", "server's clock minus ours, by its Date header"),
    },
)

DRIFT_ITEM: Final = Measurement(
    "drift_item",
    "One outstanding item of a set; the set's points stand at report + 0, 1, 2 … ns.",
    ("instance", "kind", "change"),
    {
        "key": Field("s", "", "path, or name"),
        "class": Field("s", "", "frozen, sealed or structural"),
        "severity": Field("s", "", "low, medium or high"),
        "expected": Field("s", "", "JSON object of the attributes that differ, as baked"),
        "actual": Field("s", "", "JSON object of the attributes that differ, as seen"),
        "diff": Field("s", "", "unified diff, redacted, at most 16 KiB; may be empty"),
        "report": Field("i", "ns", "stamp of the set"),
        "first_seen": Field("i", "ns", "when this item was first seen so"),
    },
)

REST_KIND: Final = "rest"
"""Kind of the last point of a set that is too large: it stands for the others, and its `actual` is `{"count": N}`."""
