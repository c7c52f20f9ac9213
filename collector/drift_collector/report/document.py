"""The JSON documents of fleet and instance. Pure; their JSON Schemas stand in `schemas/`.

States are lower case, times RFC 3339 in UTC with whole nanoseconds cut to microseconds, absent values null.
"""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

from rich.console import Console

from drift_agent.model import AttributeValue
from drift_agent.text import shown
from drift_agent.units import rfc3339
from drift_collector.fleet.model import Fleet, Reason, Systemic, Verdict
from drift_collector.report.format import Format
from drift_collector.store.base import DriftItem

REPORT_SCHEMA: Final = "driftline.report/1"
SHOW_SCHEMA: Final = "driftline.show/1"

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


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
        "trust": {"manifests": fleet.trusted_images, "signatures": fleet.signatures_checked},
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
        "instance": _text(verdict.instance),
        "host": _text(verdict.host),
        "image": _text(verdict.image),
        "group": _text(verdict.group),
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
    return {"code": reason.code, "text": _text(reason.text)}


def _systemic(item: Systemic) -> dict[str, Any]:
    return {
        "image": _text(item.image),
        "kind": _text(item.kind),
        **_key(item.key),
        "change": _text(item.change),
        "instances": item.instances,
        "of": item.of,
        "sampled": item.sampled,
    }


def _item(item: DriftItem) -> dict[str, Any]:
    names = sorted({*item.expected, *item.actual})
    return {
        "kind": _text(item.kind),
        **_key(item.key),
        "change": _text(item.change),
        "class": _text(item.path_class),
        "severity": _text(item.severity),
        "attributes": {
            _text(name): {"expected": _value(item.expected.get(name)), "actual": _value(item.actual.get(name))}
            for name in names
        },
        "diff": _text(item.diff),
        "first_seen": rfc3339(item.first_seen if item.first_seen > 0 else None),
    }


def _key(key: str) -> dict[str, str]:
    """A key that is not UTF-8 is readable in `key`, and whole in `key_base64`."""
    text = _text(key)
    if text == key:
        return {"key": key}
    try:
        raw = key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no file's name: a surrogate that stands for no byte
        raw = key.encode("utf-8", "surrogatepass")
    return {"key": text, "key_base64": base64.b64encode(raw).decode()}


def _value(value: AttributeValue) -> AttributeValue:
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """Text that every JSON reader takes: what is not UTF-8 in escaped form."""
    return text if text.isascii() else _SURROGATE.sub(lambda match: shown(match.group()), text)


def _write(fleet: Fleet, console: Console, now: int, _everything: bool) -> None:
    console.file.write(report_json(fleet, now))


FORMAT: Final = Format("json", _write)
