"""Check documents of clean boots of one image → the rules that these boots need, each with its reason. Pure.

What every boot changes is proposed as sealed: it may be set once, and not again. Nothing is ever proposed as ignored:
that is for a person to decide.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from drift_agent.errors import ConfigError, InputError
from drift_agent.image.globs import as_glob
from drift_agent.image.paths import folders_above
from drift_agent.image.policy import BAKED_KINDS
from drift_agent.image.semantics import ATTRIBUTES
from drift_agent.line_protocol import portable

CHECK_SCHEMA: Final = "driftline.check/1"
MIN_BOOTS: Final = 2

_PROPOSED_CLASS: Final = "sealed"


@dataclass(frozen=True, slots=True)
class Proposal:
    """One rule, and why: how many boots need it, and whether they agree."""

    kind: str
    path: str
    without: tuple[str, ...]
    why: str


def learn(documents: Sequence[tuple[str, object]]) -> list[Proposal]:
    """The rules that the documents need, given with the names to call them by.

    Raises:
        ConfigError: fewer than two documents, or one of them twice.
        InputError: a document is no check document, or of another image than one before it.
    """
    names = [name for name, _ in documents]
    if len(set(names)) < MIN_BOOTS:
        raise ConfigError("give the check documents of at least two clean boots: what one boot changed proves nothing")
    if len(set(names)) < len(names):
        raise ConfigError("give each check document once: each stands for a boot of its own")
    seen: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for name, document in documents:
        for place, change in _changes(name, document).items():
            known = seen.setdefault(place, [])
            if known and _is_of_another_image(known[0], change):
                raise InputError(
                    f"{name}: was made against another manifest than one before it, as what it expects of"
                    f" {portable(place[1])} says; give boots of one image"
                )
            known.append(change)
    added = {key for (kind, key), changes in seen.items() if kind == "file" and changes[0]["change"] == "added"}
    return [
        _propose(kind, key, changes, len(documents), has_below=_has_below(key, added))
        for (kind, key), changes in sorted(seen.items())
        if not (kind == "file" and any(folder in added for folder in folders_above(key)))
    ]


def to_toml(proposals: Sequence[Proposal]) -> str:
    """The proposals as a policy file."""
    lines = ["# Proposed from clean boots: read every reason before you take a rule over."]
    for proposal in proposals:
        lines += ["", "[[rule]]"]
        if proposal.kind != "file":
            lines.append(f"kind = {json.dumps(proposal.kind)}")
        lines.append(f"path = {_toml(proposal.path)}")
        if proposal.without:
            lines.append(f"without = {json.dumps(list(proposal.without))}")
        else:
            lines.append(f'class = "{_PROPOSED_CLASS}"')
        lines.append(f"why = {json.dumps(proposal.why)}")
    return "\n".join(lines) + "\n"


def _toml(text: str) -> str:
    """A basic string of TOML, which knows no escape for half of a character beyond the first 65,536, as JSON does."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _propose(kind: str, key: str, changes: Sequence[Mapping[str, Any]], boots: int, *, has_below: bool) -> Proposal:
    names = {name for change in changes for name in change["attributes"]}
    values = {json.dumps(change["attributes"], sort_keys=True) for change in changes}
    only_kept = kind == "file" and all(change["change"] == "modified" for change in changes)
    without = tuple(name for name in ATTRIBUTES if name in names) if only_kept and "sha256" not in names else ()
    what = "/".join(sorted({change["change"] for change in changes}))
    agree = "in the same way: better bake it into the image" if len(values) == 1 else "each time differently"
    if len(changes) < boots:
        agree = "and not on the others: find out why"
    suffix = "/***" if has_below else ""
    return Proposal(kind, as_glob(key) + suffix, without, f"{what} on {len(changes)} of {boots} clean boots, {agree}")


def _has_below(key: str, added: set[str]) -> bool:
    return any(other.startswith(f"{key}/") for other in added) if key in added else False


def _changes(name: str, document: object) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The changes of a document that no rule covers yet.

    Raises:
        InputError: it is no check document.
    """
    if not isinstance(document, Mapping) or document.get("schema") != CHECK_SCHEMA:
        raise InputError(f"{name}: is no document {CHECK_SCHEMA!r}; make it with 'drift image check --format json'")
    if document.get("omitted"):
        raise InputError(f"{name}: has more changes than it lists; a clean boot makes a few")
    changes = document.get("changes")
    if not isinstance(changes, list) or not all(_is_change(change) for change in changes):
        raise InputError(f"{name}: changes is not the list that {CHECK_SCHEMA} has")
    counted = (change for change in changes if change["class"] != "sealed" and change["kind"] in BAKED_KINDS)
    return {(change["kind"], _key(change)): change for change in counted}


def _is_of_another_image(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether no manifest can be what both expect."""
    if (one["change"] == "added") != (other["change"] == "added"):
        return True
    return any(
        _expected(one, name) != _expected(other, name) for name in one["attributes"].keys() & other["attributes"].keys()
    )


def _expected(change: Mapping[str, Any], name: str) -> object:
    values = change["attributes"][name]
    return values.get("expected") if isinstance(values, Mapping) else None


def _is_change(change: object) -> bool:
    return (
        isinstance(change, Mapping)
        and all(isinstance(change.get(name), str) for name in ("kind", "key", "change", "class"))
        and change["change"] in ("added", "removed", "modified")
        and isinstance(change.get("attributes"), Mapping)
        and (change["kind"] != "file" or change["key"].startswith("/"))
    )


def _key(change: Mapping[str, Any]) -> str:
    encoded = change.get("key_base64")
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape")
        except ValueError:
            pass
    return str(change["key"])
