"""How one image differs from another: the changes from manifest to manifest, files beneath the package they are of."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from drift_agent.errors import ManifestError
from drift_agent.image.canonical import decode, difference
from drift_agent.image.content import Contents, folder_of
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import BAKED_KINDS
from drift_agent.model import Change, ChangeKind, Item

_INFO: Final = "/var/lib/dpkg/info/"
_LIST: Final = ".list"


def delta(before: Manifest, after: Manifest) -> Iterator[Change]:
    """The changes that lead from one image to the other, in manifest order; nothing of it is parsed where equal.

    Raises:
        ManifestError: a line of either is no item, or out of order; or they were baked under different semantics.
    """
    require_comparable(before, after)
    old, new = before.ordered(), after.ordered()
    was, now = next(old, None), next(new, None)
    while was or now:
        if was == now:
            was, now = next(old, None), next(new, None)
        elif was and (not now or was[0] < now[0]):
            yield _change(after, _parse(before, was[1]), None)
            was = next(old, None)
        elif now and (not was or now[0] < was[0]):
            yield _change(after, None, _parse(after, now[1]))
            now = next(new, None)
        elif was and now:
            change = _change(after, _parse(before, was[1]), _parse(after, now[1]))
            if change.expected or change.actual:
                yield change
            was, now = next(old, None), next(new, None)


def _parse(manifest: Manifest, line: bytes) -> Item:
    item = manifest.parse(line)
    if item.kind not in BAKED_KINDS:  # no policy decides about it
        raise manifest.fault(0, f"holds a {item.kind}, which no manifest of this version does")
    return item


def require_comparable(before: Manifest, after: Manifest) -> None:
    """
    Raises:
        ManifestError: what one of them says of an item means something else in the other.
    """
    if before.header.semantics != after.header.semantics:
        raise ManifestError(
            f"{before.path} was baked under semantics {before.header.semantics}, and {after.path} under"
            f" {after.header.semantics}: bake the older image again with the version of the newer one"
        )


def _change(after: Manifest, was: Item | None, now: Item | None) -> Change:
    item = now or was
    assert item is not None
    decision = after.header.policy.decide(item.key, item.kind)
    differs, is_now = difference(was.attributes if was else {}, now.attributes if now else {})
    change: ChangeKind = "added" if was is None else "removed" if now is None else "modified"
    return Change(item.kind, item.key, change, decision.path_class, decision.severity, differs, is_now)


@dataclass(slots=True)
class Group:
    """A package and the files of it that changed; `package` is None for what belongs to none that is known."""

    package: Change | None
    files: list[Change] = field(default_factory=list)


def grouped(changes: list[Change], owners: dict[str, str]) -> list[Group]:
    """Each changed package with its changed files beneath it, then everything else.

    `owners` says of a path which package it is of. A file of a package that did not change stands with the rest.
    """
    groups = {change.key: Group(change) for change in changes if change.kind == "package"}
    rest = Group(None)
    for change in changes:
        if change.kind != "package":
            groups.get(owners.get(change.key, ""), rest).files.append(change)
    return [*groups.values(), *([rest] if rest.files else [])]


def owners_of(changes: list[Change], *manifests: Manifest) -> dict[str, str]:
    """Path → package, of the changed paths; as far as dpkg's lists of files were kept beside a manifest."""
    wanted = {change.key for change in changes if change.kind == "file"}
    owners: dict[str, str] = {}
    for manifest in manifests:
        contents = Contents(folder_of(manifest.path))
        packages = {item.key.partition(":")[0]: item.key for item in manifest.of_kind("package")}
        for line in manifest.lines_below(_INFO.rstrip("/")):
            if _LIST.encode() + b'"' not in line:
                continue
            item = decode(line)
            package = _package(item.key.removeprefix(_INFO).removesuffix(_LIST), packages)
            text = contents.get(str(item.attributes.get("sha256")))
            for path in text.decode().split("\n") if text is not None else ():
                if path in wanted:
                    owners.setdefault(path, package)
        for path in wanted:
            if path.startswith(_INFO):
                owners.setdefault(path, _package(path.removeprefix(_INFO).rpartition(".")[0], packages))
    return owners


def _package(name: str, packages: dict[str, str]) -> str:
    """The key of a package by the stem of its files under dpkg's info: its name, with `:arch` where that is needed."""
    return name if ":" in name else packages.get(name, name)
