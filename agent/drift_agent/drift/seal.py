"""The sealed class: what first boot may set once, and nobody may change again. Pure.

A seal is the list of differences from the image that stood when first boot was over. Both it and what is seen later
are relative to the same manifest, so the difference between the two needs neither.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Final

from drift_agent.model import Attributes, AttributeValue, Change, ChangeKind, Key

SEMANTICS: Final = 1
"""Version of what the digest covers; it stands before every digest."""


def of(changes: Mapping[Key, Change]) -> dict[Key, Change]:
    """The seal of what is seen: its changes of the sealed class."""
    return {key: change for key, change in changes.items() if change.path_class == "sealed"}


def digest(seal: Mapping[Key, Change]) -> str:
    """`1:sha256:HEX` over the seal's canonical lines, in the order of kind and key; never empty."""
    total = hashlib.sha256()
    for (kind, key), change in sorted(seal.items()):
        values = {**dict.fromkeys(change.expected), **change.actual}  # what the image has and this has not: null
        line = json.dumps([kind, key, change.change, values], sort_keys=True, separators=(",", ":"))
        total.update(line.encode("ascii") + b"\n")
    return f"{SEMANTICS}:sha256:{total.hexdigest()}"


def compare(
    seal: Mapping[Key, Change], seen: Mapping[Key, Change], in_scope: Callable[[Key], bool]
) -> dict[Key, Change]:
    """How the sealed class differs from the seal.

    `seen` are the changes against the image; `in_scope` says which keys were looked at at all.
    """
    found = {}
    for key in seal.keys() | of(seen).keys():
        if in_scope(key) or key in seen:
            change = _between(seal.get(key), seen.get(key))
            if change is not None:
                found[key] = change
    return found


def _between(then: Change | None, now: Change | None) -> Change | None:
    """The change from `then` to `now`, both relative to the image (None: equal to it)."""
    if then is None:
        return now
    if now is None:
        return _inverse(then)
    if then.change == "removed" and now.change == "removed":
        return None
    if then.change == "removed":  # it was not there, and is now: the image's, overlaid with what differs
        return _changed(now, "added", {}, _values(now, then))
    if now.change == "removed":
        return _changed(now, "removed", _values(then, now), {})
    before, after = _values(then, now), _values(now, then)
    names = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    if not names:
        return None
    return _changed(now, "modified", _only(before, names), _only(after, names))


def _inverse(change: Change) -> Change:
    """From what `change` tells of back to the image."""
    kind: ChangeKind = "removed" if change.change == "added" else "added" if change.change == "removed" else "modified"
    return _changed(change, kind, change.actual, change.expected)


def _values(change: Change, other: Change) -> dict[str, AttributeValue]:
    """The values of `change` at every attribute that either mentions; where only the other does, the image's."""
    named = change.expected.keys() | change.actual.keys()
    image = {name: value for name, value in other.expected.items() if name not in named}
    return {**image, **change.actual}


def _only(values: Attributes, names: list[str]) -> dict[str, AttributeValue]:
    return {name: values[name] for name in sorted(names) if name in values}


def _changed(change: Change, kind: ChangeKind, expected: Attributes, actual: Attributes) -> Change:
    return Change(change.kind, change.key, kind, "sealed", change.severity, expected, actual)
