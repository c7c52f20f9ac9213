"""Some paths of a tree against its manifest, while somebody waits: in about half a second, or not at all."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from drift_agent.drift.check import require_semantics
from drift_agent.drift.check_result import CheckResult, Scope
from drift_agent.drift.compare import Comparer
from drift_agent.drift.content_diff import with_diffs
from drift_agent.drift.expected import Expected
from drift_agent.image import mounts
from drift_agent.image.canonical import key_order
from drift_agent.image.facts import FACTS, Context, Fact
from drift_agent.image.inspect import PostponedError
from drift_agent.image.manifest import Manifest
from drift_agent.image.paths import is_within
from drift_agent.image.policy import Policy
from drift_agent.image.rootfs import RootFiles
from drift_agent.image.scan import Scan
from drift_agent.model import Key

MOST_BYTES: Final = 64 << 20
"""A larger file is not read when some paths are looked at: whoever waits for that look must not wait for its digest."""

MOST_EXPECTED_BYTES: Final = 8 << 20
"""A folder of which the manifest has more (some 40,000 items) is not looked at either: `LOOK_SECONDS` would not do."""

LOOK_SECONDS: Final = 0.5
"""How long such a look takes at most; what it did not come to, or was reading then, is not in its scope."""


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
    require_semantics(manifest)
    comparer = Comparer(header.policy)
    foreign = mounts.foreign(mounts.standing(root, header.policy), header.mounts)

    def is_over() -> bool:
        return time.monotonic() - started > LOOK_SECONDS

    def pace(_: int) -> None:
        if is_over():
            raise PostponedError

    with Scan(root, header.policy, boundaries=frozenset(foreign), pace=pace, most=MOST_BYTES) as scan:
        scope, complete = _compare_some(comparer, scan, manifest, paths, trees, is_over)
    touched = _facts_touched(header.policy, [key for _, key in scope.keys], scope.trees)
    if touched:
        with RootFiles(root) as files:
            context = Context(files, header.image, header.policy.seals_account)
            for fact in touched:
                comparer.facts(
                    fact.kind, Expected(manifest, manifest.blocks(*manifest.span_of(fact.kind))), fact.gather(context)
                )
    return CheckResult(
        changes=with_diffs(root, manifest, comparer.changes),
        scanned=comparer.scanned,
        unreadable=comparer.unreadable,
        not_applicable=[],
        observed="",
        seconds=time.monotonic() - started,
        scope=replace(scope, kinds=tuple(fact.kind for fact in touched), postponed=frozenset(comparer.postponed)),
        omitted=comparer.omitted,
        overfull=comparer.overfull,
        complete=complete,
    )


def _compare_some(
    comparer: Comparer,
    scan: Scan,
    manifest: Manifest,
    paths: Iterable[str],
    trees: Iterable[str],
    is_over: Callable[[], bool],
) -> tuple[Scope, bool]:
    """Compares files until `is_over`; which it came to, and whether those were all."""
    whole = _outermost(trees)
    single: set[Key] = set()
    for key in sorted(set(paths), key=key_order):
        if is_over():
            return Scope(frozenset(single), everything=False), False
        if any(is_within(key, tree) for tree in whole):
            continue
        entry = scan.entry(key)
        line = manifest.line("file", key)
        if (entry is not None and _is_folder(entry.line)) != _is_folder(line):
            whole = _outermost([*whole, key])
            continue
        single.add(("file", key))
        _run(comparer.files(Expected(manifest, iter([line] if line else [])), [entry] if entry else []))
    for number, tree in enumerate(whole):
        start, end = manifest.span_below(tree)
        if end - start > MOST_EXPECTED_BYTES:
            return Scope(frozenset(single), tuple(whole[:number]), everything=False), False
        expected = Expected(manifest, manifest.blocks(start, end))
        for _ in comparer.files(expected, scan.entries(tree)):
            if is_over():
                return Scope(frozenset(single), tuple(whole[:number]), everything=False), False
    return Scope(frozenset(single), tuple(whole), everything=False), True


def _facts_touched(policy: Policy, keys: Iterable[str], trees: Iterable[str]) -> list[Fact]:
    """The facts that a change of these paths may change."""
    return [
        fact
        for fact in FACTS
        if fact.kind in policy.kinds
        and any(
            any(is_within(key, source) for key in (*keys, *trees)) or any(is_within(source, tree) for tree in trees)
            for source in fact.sources
        )
    ]


def _run(steps: Iterator[None]) -> None:
    for _ in steps:
        pass


def _is_folder(line: bytes) -> bool:
    return b',"type":"dir"' in line


def _outermost(trees: Iterable[str]) -> list[str]:
    """The trees that lie in no other one of them, in order."""
    kept: list[str] = []
    for tree in sorted(set(trees), key=key_order):
        if not kept or not is_within(tree, kept[-1]):
            kept.append(tree)
    return kept
