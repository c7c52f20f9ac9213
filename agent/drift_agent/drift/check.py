"""A tree against its manifest: all of it, or just some paths."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from drift_agent.drift.compare import Comparison, Expected
from drift_agent.drift.diff import unified
from drift_agent.errors import ManifestError
from drift_agent.image import mounts
from drift_agent.image.canonical import key_order
from drift_agent.image.content import MAX_CONTENT_BYTES, Contents, folder_of, is_text
from drift_agent.image.facts import FACTS, Context, Fact
from drift_agent.image.hashing import Hasher
from drift_agent.image.header import Header
from drift_agent.image.inspect import Pace, PostponedError
from drift_agent.image.manifest import Manifest
from drift_agent.image.mounts import Mount
from drift_agent.image.policy import Policy
from drift_agent.image.rootfs import RootFiles
from drift_agent.image.scan import Scan
from drift_agent.image.semantics import SEMANTICS
from drift_agent.image.statcache import StatCache
from drift_agent.line_protocol import portable
from drift_agent.model import Attributes, Change, Unreadable

Progress = Callable[[int], None]
"""Told now and then how many items were looked at so far."""

PROGRESS_STEP: Final = 256
MOST_BYTES: Final = 64 << 20
"""A larger file is not read when some paths are looked at: whoever waits for that look must not wait for its digest."""

MOST_EXPECTED_BYTES: Final = 8 << 20
"""Nor is a folder looked at then of which the manifest has more, some 40,000 items: `LOOK_SECONDS` would not do."""

LOOK_SECONDS: Final = 0.5
"""How long such a look takes at most; what it did not come to, or was reading then, is not in its scope."""

MAX_DIFFS: Final = 100
"""Diffs of one check; who changed more than that is not told line by line."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a check looked at: single keys, folders with everything below, whole kinds; or simply everything.

    Not the content of the files `postponed`, wherever they stand.
    """

    keys: frozenset[tuple[str, str]] = frozenset()
    trees: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    everything: bool = True
    postponed: frozenset[str] = frozenset()

    def covers(self, kind: str, key: str) -> bool:
        """Whether the check would have found a change of this item."""
        if kind == "file" and key in self.postponed:
            return False
        if self.everything or kind in self.kinds or (kind, key) in self.keys:
            return True
        return kind == "file" and any(_within(key, tree) for tree in self.trees)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    `changes` are in manifest order and of every class: the caller decides what a sealed one means. `omitted` counts
    what was found beyond the most that are kept. `scanned` counts items, `seconds` is the duration. `observed` is the
    digest over what was seen of the frozen and structural items (empty where not everything was looked at); on a
    clean tree it equals the header's. `not_applicable` are kinds without a meaning here. Not `complete` is a look at
    some paths that ran out of time.
    """

    changes: list[Change]
    scanned: int
    unreadable: list[Unreadable]
    not_applicable: list[str]
    observed: str
    seconds: float
    scope: Scope = field(default_factory=Scope)
    omitted: int = 0
    complete: bool = True

    @property
    def differs(self) -> bool:
        """Whether anything but the sealed class differs."""
        return self.omitted > 0 or any(change.path_class != "sealed" for change in self.changes)


def check_tree(
    root: str,
    manifest: Manifest,
    *,
    cache: str | None = None,
    rehash: bool = False,
    progress: Progress | None = None,
    pace: Pace | None = None,
) -> CheckResult:
    """Compares everything below `root` with the manifest.

    `pace` is told of each block of a content that is read, in whichever thread; what it raises ends the check.

    `cache` is the file in which what was seen is kept until the next check: what has not changed since is not read
    again then, unless `rehash` asks for it. A cache that cannot be written is done without.

    Raises:
        InputError: the root cannot be opened.
        ManifestError: a line is no item, or out of order; or the manifest's semantics are another version's.
    """
    started = time.monotonic()
    header = manifest.header
    _require_semantics(manifest)
    comparison = Comparison(header.policy)
    foreign = mounts.foreign(mounts.standing(root, header.policy), header.mounts)
    expected = Expected(manifest, manifest.blocks(), 2)
    with (
        Hasher(pace=pace) as hasher,
        Scan(root, header.policy, boundaries=frozenset(foreign), hasher=hasher, pace=pace) as scan,
        _open_cache(cache, header, rehash) as known,
    ):
        told = 0
        seen = scan.entries() if known is None else scan.changes(known, mounts.unsteady())
        for _ in comparison.files(expected, seen):
            if progress is not None and comparison.scanned - told >= PROGRESS_STEP:
                told = comparison.scanned
                progress(told)
    not_applicable = _compare_facts(root, manifest, comparison, expected)
    return CheckResult(
        changes=_with_diffs(root, manifest, comparison.changes) + _foreign_mounts(foreign, header.policy),
        scanned=comparison.scanned,
        unreadable=comparison.unreadable,
        not_applicable=not_applicable,
        observed=comparison.digest(),
        seconds=time.monotonic() - started,
        omitted=comparison.omitted,
    )


def check_paths(root: str, manifest: Manifest, paths: Iterable[str], *, trees: Iterable[str] = ()) -> CheckResult:
    """Compares just `paths`, and `trees` with everything below them.

    A path that is a folder on one side only is compared with everything below; one that is a folder on both is
    compared itself, and what stands below it is not. `scope` of the result says what was looked at: within
    `LOOK_SECONDS`, and without the content of what is larger than `MOST_BYTES`.

    Raises:
        InputError, ManifestError: as `check_tree`.
    """
    started = time.monotonic()
    header = manifest.header
    _require_semantics(manifest)
    comparison = Comparison(header.policy)
    foreign = mounts.foreign(mounts.standing(root, header.policy), header.mounts)

    def is_over() -> bool:
        return time.monotonic() - started > LOOK_SECONDS

    def pace(_: int) -> None:
        if is_over():
            raise PostponedError

    with Scan(root, header.policy, boundaries=frozenset(foreign), pace=pace, most=MOST_BYTES) as scan:
        scope, complete = _compare_some(comparison, scan, manifest, paths, trees, is_over)
    touched = _facts_touched(header.policy, [key for _, key in scope.keys], scope.trees)
    if touched:
        with RootFiles(root) as files:
            context = Context(files, header.image, header.policy.seals_account)
            for fact in touched:
                comparison.facts(
                    fact.kind, Expected(manifest, manifest.blocks(*manifest.span_of(fact.kind))), fact.gather(context)
                )
    return CheckResult(
        changes=_with_diffs(root, manifest, comparison.changes),
        scanned=comparison.scanned,
        unreadable=comparison.unreadable,
        not_applicable=[],
        observed="",
        seconds=time.monotonic() - started,
        scope=replace(scope, kinds=tuple(fact.kind for fact in touched), postponed=frozenset(comparison.postponed)),
        omitted=comparison.omitted,
        complete=complete,
    )


def _compare_some(
    comparison: Comparison,
    scan: Scan,
    manifest: Manifest,
    paths: Iterable[str],
    trees: Iterable[str],
    is_over: Callable[[], bool],
) -> tuple[Scope, bool]:
    """Compares files until `is_over`; which it came to, and whether those were all."""
    whole = _outermost(trees)
    single: set[tuple[str, str]] = set()
    for key in sorted(set(paths), key=key_order):
        if is_over():
            return Scope(frozenset(single), everything=False), False
        if any(_within(key, tree) for tree in whole):
            continue
        entry = scan.entry(key)
        line = manifest.line("file", key)
        if (entry is not None and _is_folder(entry.line)) != _is_folder(line):
            whole = _outermost([*whole, key])
            continue
        single.add(("file", key))
        _run(comparison.files(Expected(manifest, iter([line] if line else [])), [entry] if entry else []))
    for number, tree in enumerate(whole):
        start, end = manifest.span_below(tree)
        if end - start > MOST_EXPECTED_BYTES:
            return Scope(frozenset(single), tuple(whole[:number]), everything=False), False
        expected = Expected(manifest, manifest.blocks(start, end))
        for _ in comparison.files(expected, scan.entries(tree)):
            if is_over():
                return Scope(frozenset(single), tuple(whole[:number]), everything=False), False
    return Scope(frozenset(single), tuple(whole), everything=False), True


@contextmanager
def _open_cache(path: str | None, header: Header, rehash: bool) -> Iterator[StatCache | None]:
    """The stat cache of this manifest; it is renewed only if nothing goes wrong meanwhile."""
    if path is None:
        yield None
        return
    identity = f"{header.digest} {header.policy_digest} {header.image}"
    known = StatCache(path, identity, rehash=rehash)
    try:
        yield known
        known.finish()
    finally:
        known.close()


def _with_diffs(root: str, manifest: Manifest, changes: list[Change]) -> list[Change]:
    """The changes, those of contents that were kept at the bake with a diff."""
    contents = Contents(folder_of(manifest.path))
    if not os.path.isdir(contents.folder) or not any(_has_other_content(change) for change in changes):
        return changes
    with RootFiles(root) as files:
        left = MAX_DIFFS
        done = []
        for change in changes:
            diff = ""
            if left and _has_other_content(change):
                diff = _diff(files, contents, change)
                left -= bool(diff)
            done.append(replace(change, diff=diff) if diff else change)
    return done


def _has_other_content(change: Change) -> bool:
    return change.change == "modified" and change.path_class == "frozen" and "sha256" in change.actual


def _diff(files: RootFiles, contents: Contents, change: Change) -> str:
    """The diff of one file; empty where either side is not to be shown, or is not what was compared any more."""
    was = contents.get(str(change.expected.get("sha256")))
    if was is None:
        return ""
    try:
        now = files.read_public(change.key, MAX_CONTENT_BYTES)
    except OSError:
        return ""
    if now is None or not is_text(now) or hashlib.sha256(now).hexdigest() != change.actual["sha256"]:
        return ""
    return unified(portable(change.key), was.decode(), now.decode())


def _compare_facts(root: str, manifest: Manifest, comparison: Comparison, expected: Expected) -> list[str]:
    """Compares every kind behind the files; returns those without a meaning here."""
    policy = manifest.header.policy
    not_applicable = []
    with RootFiles(root) as files:
        context = Context(files, manifest.header.image, policy.seals_account)
        for fact in FACTS:
            if fact.kind in policy.kinds:
                observed = fact.gather(context)
                comparison.facts(fact.kind, expected, observed)
                if observed is None:
                    not_applicable.append(fact.kind)
    expected.finish()
    return not_applicable


def _facts_touched(policy: Policy, keys: Iterable[str], trees: Iterable[str]) -> list[Fact]:
    """The facts that a change of these paths may change."""
    return [
        fact
        for fact in FACTS
        if fact.kind in policy.kinds
        and any(
            any(_within(key, source) for key in (*keys, *trees)) or any(_within(source, tree) for tree in trees)
            for source in fact.sources
        )
    ]


def _run(steps: Iterator[None]) -> None:
    for _ in steps:
        pass


def _require_semantics(manifest: Manifest) -> None:
    if manifest.header.semantics != SEMANTICS:
        raise ManifestError(
            f"{manifest.path}: was baked under semantics {manifest.header.semantics}, and this version compares under"
            f" {SEMANTICS}: bake the image again with the version that runs on it"
        )


def _is_folder(line: bytes) -> bool:
    return b',"type":"dir"' in line


def _within(key: str, tree: str) -> bool:
    return key == tree or key.startswith(tree.rstrip("/") + "/")


def _outermost(trees: Iterable[str]) -> list[str]:
    """The trees that lie in no other one of them, in order."""
    kept: list[str] = []
    for tree in sorted(set(trees), key=key_order):
        if not kept or not _within(tree, kept[-1]):
            kept.append(tree)
    return kept


def _foreign_mounts(foreign: Mapping[str, Mount], policy: Policy) -> list[Change]:
    """Whatever is mounted over the image hides it, whatever its type."""
    return [
        Change("mount", path, "added", policy.decide(path).path_class, "high", {}, _mount_attributes(foreign[path]))
        for path in sorted(foreign, key=key_order)
    ]


def _mount_attributes(mount: Mount) -> Attributes:
    return {"type": mount.type, "source": mount.source}
