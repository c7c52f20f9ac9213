"""A manifest's files as mtree(5), so that an independent tool can check a tree against them. Pure.

`mtree -p ROOT -f FILE` of NetBSD (Debian's mtree-netbsd) accepts it. What first boot may set is `optional`, and its
type alone is compared; below folders whose content the policy ignores nothing is. Extended attributes and flags have
no form there.
"""

import re
from collections.abc import Generator, Iterator
from typing import Final

from drift_agent.image.manifest import Manifest
from drift_agent.image.paths import folders_above
from drift_agent.image.policy import Policy
from drift_agent.model import Item

_SAFE: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%^~")
_GLOB: Final = re.compile(rb"[*?\[]")
_SPECIAL: Final = re.compile(rb"[*?\[\]\\]")
_KEYWORDS: Final = ("mode", "uid", "gid", "nlink", "sha256")


def export(manifest: Manifest) -> Iterator[str]:
    """The lines, newlines included: every folder before what is in it.

    Raises:
        ManifestError: a line of the manifest is no item, or out of order.
    """
    policy = manifest.header.policy
    yield "#mtree v2.0\n"
    yield f"# {manifest.header.stamp} {manifest.header.digest}\n"
    above: list[str] = []
    ignored = _ignored_folders(policy)
    for item in manifest.items():
        if item.kind != "file":
            break
        above = yield from _parents(item.key, above)
        yield _line(item, policy)
        if item.attributes.get("type") == "dir":
            above.append(item.key)
            yield from (f"{escaped(key)} type=dir optional ignore\n" for key in ignored.pop(item.key, ()))


def escaped(key: str) -> str:
    """A path as mtree reads it: `.` is the root, and whatever could be a glob, a blank or a comment is octal.

    mtree looks for globs once the octal is decoded: of a name that has such characters they stand behind a backslash.
    """
    names = key.encode("utf-8", "surrogateescape").split(b"/")
    return _vis(b"." + (b"" if key == "/" else b"/".join(map(_literal, names))))


def _literal(name: bytes) -> bytes:
    """A glob that only this name matches, where the name looks like a glob; else the name."""
    return _SPECIAL.sub(rb"\\\g<0>", name) if _GLOB.search(name) else name


def _vis(raw: bytes) -> str:
    return "".join(chr(byte) if byte in _SAFE else f"\\{byte:03o}" for byte in raw)


def _line(item: Item, policy: Policy) -> str:
    attributes = item.attributes
    words = [escaped(item.key), f"type={attributes.get('type', 'file')}"]
    decision = policy.decide(item.key)
    if decision.path_class == "sealed":
        words.append("optional")
    else:
        words += [f"{name}={attributes[name]}" for name in _KEYWORDS if name in attributes]
        if isinstance(target := attributes.get("target"), str):
            words.append(f"link={_vis(target.encode('utf-8', 'surrogateescape'))}")
        if isinstance(device := attributes.get("device"), str):
            words.append(f"device=linux,{device}")
    if attributes.get("unreadable") or (
        attributes.get("type") == "dir" and not policy.descends(policy.state(item.key))
    ):
        words.append("ignore")
    return " ".join(words) + "\n"


def _parents(key: str, above: list[str]) -> Generator[str, None, list[str]]:
    """Lines of the folders above `key` that are no items themselves; returns the folders that stand above it now."""
    wanted = [] if key == "/" else ["/", *folders_above(key)]
    kept = [folder for folder in above if folder in wanted]
    for folder in wanted:
        if folder not in kept:
            yield f"{escaped(folder)} type=dir\n"
            kept.append(folder)
    return kept


def _ignored_folders(policy: Policy) -> dict[str, list[str]]:
    """Folders that the policy ignores whole, by the folder above: no items, but there they are."""
    found: dict[str, list[str]] = {}
    for rule in policy.rules:
        key = rule.path.removesuffix("/***")
        if rule.kind == "file" and key != rule.path and not any(character in key for character in "*?[{"):
            state = policy.state(key)
            if key and policy.decision(state).path_class == "ignored" and not policy.descends(state):
                found.setdefault(key.rpartition("/")[0] or "/", []).append(key)
    return {folder: sorted(set(keys)) for folder, keys in found.items()}
