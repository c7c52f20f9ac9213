"""What `drift image` shows: documents and text. Pure."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from drift_agent.drift.check_result import CheckResult
from drift_agent.drift.runtime import FACTS
from drift_agent.image.delta import Group
from drift_agent.image.globs import NO_RULE
from drift_agent.image.header import Header
from drift_agent.image.learn import CHECK_SCHEMA
from drift_agent.image.policy import ALL_ATTRIBUTES, DETOUR, Policy
from drift_agent.image.semantics import ATTRIBUTES
from drift_agent.model import Change, Unreadable
from drift_agent.text import cut, shown

DELTA_SCHEMA: Final = "driftline.image-diff/1"

_SIGNS: Final = {"added": "+", "removed": "-", "modified": "~", "reverted": "="}
_SHOWN_VALUE: Final = 72


def baked(header: Header, output: str) -> str:
    """What was baked, in two lines."""
    counts = ", ".join(f"{count} {kind}" for kind, count in header.counts.items())
    unreadable = f", {header.unreadable} of them recorded as unreadable" if header.unreadable else ""
    return f"{shown(output)}: {header.stamp}, items: {counts}{unreadable}\n{header.digest}\n"


def check_document(result: CheckResult, *, strict: bool) -> dict[str, Any]:
    """The document `driftline.check/1`."""
    return {
        "schema": CHECK_SCHEMA,
        "state": state_of(result, strict=strict),
        "scanned": result.scanned,
        "unreadable": [_unreadable(entry) for entry in result.unreadable],
        "not_applicable": list(result.not_applicable),
        "changes": [_change(change) for change in result.changes],
        "omitted": sum(result.omitted.values()),
    }


def state_of(result: CheckResult, *, strict: bool) -> str:
    """`drifted`, `unverified` where something could not be read, else `clean`."""
    if result.differs or (strict and result.changes):
        return "drifted"
    return "unverified" if result.unreadable else "clean"


def check_text(result: CheckResult, header: Header, *, strict: bool) -> str:
    """A line for each change, its attributes below it, and one line that sums up."""
    lines: list[str] = []
    for change in result.changes:
        lines += _change_lines(change)
    lines += [f"! {entry.kind} {shown(entry.key)}: {shown(entry.error)}" for entry in result.unreadable]
    counted = [change for change in result.changes if strict or change.path_class != "sealed"]
    sealed = len(result.changes) - len(counted)
    parts = [f"{state_of(result, strict=strict)}: {result.scanned} items of {header.stamp} looked at"]
    parts += [f"{sum(change.change == name for change in counted)} {name}" for name in ("added", "removed", "modified")]
    if result.omitted:
        parts.append(f"{sum(result.omitted.values())} more changes not listed")
    if sealed:
        parts.append(f"{sealed} sealed, not counted")
    if result.unreadable:
        parts.append(f"{len(result.unreadable)} unreadable")
    lines.append(", ".join(parts))
    return "\n".join(lines) + "\n"


def explained(key: str, policy: Policy, kind: str = "file") -> str:
    """Which rule decides for an item (a file's key is its path), and what follows from it."""
    fact = next((fact for fact in FACTS if fact.kind == kind), None)
    decision = policy.decide(key, kind)
    if fact is not None and decision.rule == NO_RULE:
        decision = fact.unruled
    name = key if kind == "file" else f"{kind} {key}"
    lines = [f"{shown(name)}: {decision.path_class}, severity {decision.severity}"]
    baked = fact.companion if fact is not None else kind
    if baked not in policy.kinds:
        lines.append(f"  and not compared: the policy leaves the kind {baked} out")
    if kind == "file" and decision.attributes != ALL_ATTRIBUTES:
        lines.append("  compared: " + ", ".join(name for name in ATTRIBUTES if name in decision.attributes))
    if decision.rule >= 0:
        rule = policy.rules[decision.rule]
        lines.append(
            f"  rule {decision.rule + 1} of {len(policy.rules)}, from {rule.layer or 'the policy'}: {rule.path}"
        )
    lines.append(f"  {decision.why}" if decision.why else "  the rule gives no reason")
    if kind == "file" and policy.of_link(policy.state(key)) is DETOUR:
        lines.append(f"  a link there is {DETOUR.path_class}, severity {DETOUR.severity}: rules name something below")
    return "\n".join(lines) + "\n"


def delta_document(before: Header, after: Header, groups: Sequence[Group]) -> dict[str, Any]:
    """The document `driftline.image-diff/1`."""
    return {
        "schema": DELTA_SCHEMA,
        "before": _image(before),
        "after": _image(after),
        "groups": [
            {
                "package": _change(group.package) if group.package else None,
                "changes": [_change(change) for change in group.files],
            }
            for group in groups
        ],
    }


def _image(header: Header) -> dict[str, Any]:
    return {
        "image": header.stamp,
        "digest": header.digest,
        "policy": header.policy_digest,
        "mounts": {shown(path): kind for path, kind in header.mounts.items()},
    }


def delta_text(before: Header, after: Header, groups: Sequence[Group]) -> str:
    """Lines where policies or mounts differ; each package that changed, its files beneath; then what is of none."""
    lines = [f"{before.stamp} → {after.stamp}"]
    if before.policy_digest != after.policy_digest:
        sizes = " → ".join(
            f"{header.policy.profile or 'no profile'}, {len(header.policy.rules)} rules" for header in (before, after)
        )
        lines.append(f"~ policy {sizes}: what counts as drift differs")
    lines += _mount_lines(before.mounts, after.mounts)
    for group in groups:
        indent = ""
        if group.package is not None:
            package, indent = group.package, "    "
            versions = [_short(side["version"]) for side in (package.expected, package.actual) if "version" in side]
            lines.append(f"{_SIGNS[package.change]} package {shown(package.key)} {' → '.join(versions)}".rstrip())
        lines += [f"{indent}{_SIGNS[change.change]} {shown(change.kind)} {shown(change.key)}" for change in group.files]
    if len(lines) == 1:
        lines.append("no difference")
    return "\n".join(lines) + "\n"


def _mount_lines(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """What is mounted on another place, or from another type of file system, than the image says is drift."""
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            change = "added" if path not in before else "removed" if path not in after else "modified"
            types = " → ".join(shown(side[path]) for side in (before, after) if side.get(path))
            yield f"{_SIGNS[change]} mount {shown(path)} {types}".rstrip()


def _key_members(key: str) -> dict[str, str]:
    """`key` as people can read it, and `key_base64` beside it where it is not UTF-8."""
    try:
        key.encode()
    except UnicodeEncodeError:
        raw = key.encode("utf-8", "surrogateescape")
        return {"key": shown(key), "key_base64": base64.b64encode(raw).decode()}
    return {"key": key}


def _unreadable(entry: Unreadable) -> dict[str, str]:
    return {"kind": entry.kind, **_key_members(entry.key), "error": entry.error}


def _change(change: Change) -> dict[str, Any]:
    names = [*change.expected, *(name for name in change.actual if name not in change.expected)]
    return {
        "kind": change.kind,
        **_key_members(change.key),
        "change": change.change,
        "class": change.path_class,
        "severity": change.severity,
        "attributes": {
            name: {"expected": _plain(change.expected.get(name)), "actual": _plain(change.actual.get(name))}
            for name in names
        },
    }


def _plain(value: object) -> object:
    """A value for JSON: text that is not UTF-8 in escaped form."""
    if isinstance(value, str) and not value.isascii():
        return value if value.isprintable() else shown(value)
    return value


def _change_lines(change: Change) -> list[str]:
    mark = "" if change.path_class == "frozen" else f" [{change.path_class}]"
    lines = [f"{_SIGNS[change.change]} {shown(change.kind)} {shown(change.key)}{mark}"]
    if change.change == "modified":
        names = [*change.expected, *(name for name in change.actual if name not in change.expected)]
        lines += [f"    {shown(name)}: {_from_to(change, name)}" for name in names]
        lines += [f"    {shown(line)}" for line in change.diff.split("\n") if change.diff]
    return lines


def _from_to(change: Change, name: str) -> str:
    if name.endswith("password_sha256"):
        return "changed"
    return f"{_short(change.expected.get(name))} → {_short(change.actual.get(name))}"


def _short(value: object) -> str:
    return "-" if value is None else cut(shown(str(value)), _SHOWN_VALUE)
