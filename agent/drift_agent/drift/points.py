"""What the detector knows, as points of `drift` and `drift_item`. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drift_agent.model import Attributes, Change, FieldValue, Point, Severity, State
from drift_agent.schema import DRIFT, DRIFT_ITEM, REST_KIND

MAX_ITEMS: Final = 1000
"""Items of one set; the least severe ones beyond it are only counted."""

STAMP_STEP: Final = 1024
"""ns between stamps of sets: of the times of this age a float has one every 256."""

MAX_DIFF_CHARACTERS: Final = 16 << 10

_SEVERITY_ORDER: Final[dict[Severity, int]] = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True, slots=True)
class Summary:
    """Every field of a `drift` point; the names are those of `schema.DRIFT`. Times are Unix ns, durations s."""

    state: State
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
    degraded: bool = False
    scan_seconds: float = 0.0
    clock_offset: float = 0.0


def drift_point(instance: str, summary: Summary, time: int) -> Point:
    """The `drift` point of one summary, at `time` (Unix ns)."""
    values = {name: getattr(summary, name) for name in DRIFT.fields}
    values["degraded"] = int(summary.degraded)
    return DRIFT.conform(Point(DRIFT.name, {"instance": instance}, values, time))


def stamp_of_set(earliest: int) -> int:
    """The first stamp of a set at or after `earliest` (Unix ns) that a 64-bit float holds exactly.

    openGemini keeps integers so: another stamp would come back as one of its neighbours, and its set not be found.
    """
    return -(-earliest // STAMP_STEP) * STAMP_STEP


def item_points(instance: str, changes: Sequence[Change], report: int, omitted: int = 0) -> list[Point]:
    """The set of `report` (Unix ns): its points stand at report + 0, 1, 2 … ns, the most severe first.

    At most `MAX_ITEMS`; behind them one of `REST_KIND` that counts the others, together with those that were found
    and never kept (`omitted`).
    """
    ordered = sorted(changes, key=lambda change: (_SEVERITY_ORDER[change.severity], change.kind, change.key))
    shown, rest = ordered[:MAX_ITEMS], ordered[MAX_ITEMS:]
    points = [_item_point(instance, change, report, offset) for offset, change in enumerate(shown)]
    if rest:
        number = len(rest) + omitted
        count = Change(
            REST_KIND, f"{number} more items", "modified", severity=rest[0].severity, actual={"count": number}
        )
        points.append(_item_point(instance, count, report, len(shown)))
    return points


def _item_point(instance: str, change: Change, report: int, offset: int) -> Point:
    tags = {"instance": instance, "kind": change.kind, "change": change.change}
    values: dict[str, FieldValue] = {
        "key": change.key,
        "class": change.path_class,
        "severity": change.severity,
        "expected": attributes_json(change.expected),
        "actual": attributes_json(change.actual),
        "diff": change.diff[:MAX_DIFF_CHARACTERS],
        "report": report,
        "first_seen": change.first_seen,
    }
    return DRIFT_ITEM.conform(Point(DRIFT_ITEM.name, tags, values, report + offset))


def attributes_json(attributes: Attributes) -> str:
    """A JSON object with its names sorted; bytes that are not UTF-8 stay surrogates (the encoder escapes them)."""
    return json.dumps(dict(attributes), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
