"""The JSON documents of fleet and instance. Pure; their JSON Schemas stand in `schemas/`.

States are lower case, times RFC 3339 in UTC with whole nanoseconds cut to microseconds, absent values null.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

from drift_agent.units import rfc3339
from drift_collector.fleet.model import Fleet, Reason, Systemic, Verdict
from drift_collector.store.base import DriftItem

REPORT_SCHEMA: Final = "driftline.report/1"
SHOW_SCHEMA: Final = "driftline.show/1"


def report_document(fleet: Fleet, now: int) -> dict[str, Any]:
    """`driftline.report/1`: the whole fleet, worst first. `now` is Unix ns."""
    return {
        "schema": REPORT_SCHEMA,
        "generated": rfc3339(now),
        "summary": dict(fleet.summary()),
        "terminated": fleet.terminated,
        "coverage": {
            "expected": fleet.coverage.expected,
            "fresh": fleet.coverage.fresh,
            "ratio": round(fleet.coverage.ratio, 4),
        },
        "trust": {"manifests": fleet.trusted_images},
        "systemic": [_systemic(item) for item in fleet.systemic],
        "instances": [_verdict(verdict) for verdict in fleet.verdicts],
    }


def report_json(fleet: Fleet, now: int) -> str:
    """`report_document` as JSON text, with an instance a line: `grep` finds one, and 100,000 are quickly written."""
    document = report_document(replace(fleet, verdicts=()), now) | {"summary": dict(fleet.summary())}
    del document["instances"]
    lines = ",\n".join(f"    {json.dumps(_verdict(verdict))}" for verdict in fleet.verdicts)
    head = json.dumps(document, indent=2).removesuffix("\n}")
    return f'{head},\n  "instances": [' + (f"\n{lines}\n  " if lines else "") + "]\n}\n"


def show_document(verdict: Verdict, items: Sequence[DriftItem], now: int) -> dict[str, Any]:
    """`driftline.show/1`: one instance with its outstanding items, in the order of their set."""
    return {
        "schema": SHOW_SCHEMA,
        "generated": rfc3339(now),
        "instance": _verdict(verdict),
        "items": [_item(item) for item in items],
    }


@cache
def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a document, by the name that the document gives in `schema`: `driftline.report/1`."""
    stem = name.removeprefix("driftline.").replace("/", "-")
    loaded = json.loads(files(__package__).joinpath("schemas", f"{stem}.json").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "instance": verdict.instance,
        "host": verdict.host,
        "image": verdict.image,
        "group": verdict.group,
        "state": verdict.state,
        "reasons": [_reason(reason) for reason in verdict.reasons],
        "added": verdict.added,
        "removed": verdict.removed,
        "modified": verdict.modified,
        "reverted": verdict.reverted,
        "logins": verdict.logins,
        "since": rfc3339(verdict.since),
        "last_seen": rfc3339(verdict.last_seen),
    }


def _reason(reason: Reason) -> dict[str, str]:
    return {"code": reason.code, "text": reason.text}


def _systemic(item: Systemic) -> dict[str, Any]:
    return {
        "image": item.image,
        "kind": item.kind,
        "key": item.key,
        "change": item.change,
        "instances": item.instances,
        "of": item.of,
        "sampled": item.sampled,
    }


def _item(item: DriftItem) -> dict[str, Any]:
    names = sorted({*item.expected, *item.actual})
    return {
        "kind": item.kind,
        "key": item.key,
        "change": item.change,
        "class": item.path_class,
        "severity": item.severity,
        "attributes": {name: {"expected": item.expected.get(name), "actual": item.actual.get(name)} for name in names},
        "diff": item.diff,
        "first_seen": rfc3339(item.first_seen if item.first_seen > 0 else None),
    }
