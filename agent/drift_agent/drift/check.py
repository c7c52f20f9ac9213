"""A tree against its manifest."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from drift_agent.drift.check_result import CheckResult
from drift_agent.drift.compare import Comparer
from drift_agent.drift.content_diff import with_diffs
from drift_agent.drift.expected import Expected
from drift_agent.errors import ManifestError
from drift_agent.image import mounts
from drift_agent.image.canonical import key_order
from drift_agent.image.facts import FACTS, Context
from drift_agent.image.hashing import Hasher
from drift_agent.image.header import Header
from drift_agent.image.inspect import Pace
from drift_agent.image.manifest import Manifest
from drift_agent.image.mounts import Mount
from drift_agent.image.policy import Policy
from drift_agent.image.rootfs import RootFiles
from drift_agent.image.scan import PROGRESS_STEP, Progress, Scan
from drift_agent.image.semantics import SEMANTICS
from drift_agent.image.statcache import StatCache
from drift_agent.model import Attributes, Change


def check_tree(
    root: str,
    manifest: Manifest,
    *,
    cache: str | None = None,
    rehash: bool = False,
    progress: Progress | None = None,
    pace: Pace | None = None,
    alone: bool = False,
) -> CheckResult:
    """Compares everything below `root` with the manifest.

    `pace` is told of each block of a content that is read, in whichever thread; what it raises ends the check. With
    `alone` one processor does it all, for the other belongs to whom the machine is there for.

    `cache` is the file in which what was seen is kept until the next check: what has not changed since is not read
    again then, unless `rehash` asks for it. A cache that cannot be written is done without.

    Raises:
        InputError: the root cannot be opened.
        ManifestError: a line is no item, or out of order; or the manifest's semantics are another version's.
    """
    started = time.monotonic()
    header = manifest.header
    require_semantics(manifest)
    comparer = Comparer(header.policy)
    foreign = mounts.foreign(mounts.standing(root, header.policy), header.mounts)
    expected = Expected(manifest, manifest.blocks(), 2)
    with (
        Hasher(pace, alone=alone) as hasher,
        Scan(root, header.policy, boundaries=frozenset(foreign), hasher=hasher, pace=pace) as scan,
        _open_cache(cache, header, rehash) as known,
    ):
        told = 0
        seen = scan.entries() if known is None else scan.changes(known, mounts.unsteady())
        for _ in comparer.files(expected, seen):
            if progress is not None and comparer.scanned - told >= PROGRESS_STEP:
                told = comparer.scanned
                progress(told)
    not_applicable = _compare_facts(root, manifest, comparer, expected)
    return CheckResult(
        changes=with_diffs(root, manifest, comparer.changes) + _foreign_mounts(foreign, header.policy),
        scanned=comparer.scanned,
        unreadable=comparer.unreadable,
        not_applicable=not_applicable,
        observed=comparer.digest(),
        seconds=time.monotonic() - started,
        omitted=comparer.omitted,
        overfull=comparer.overfull,
    )


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


def _compare_facts(root: str, manifest: Manifest, comparer: Comparer, expected: Expected) -> list[str]:
    """Compares every kind behind the files; returns those without a meaning here."""
    policy = manifest.header.policy
    not_applicable = []
    with RootFiles(root) as files:
        context = Context(files, manifest.header.image, policy.seals_account)
        for fact in FACTS:
            if fact.kind in policy.kinds:
                observed = fact.gather(context)
                comparer.facts(fact.kind, expected, observed)
                if observed is None:
                    not_applicable.append(fact.kind)
    expected.finish()
    return not_applicable


def require_semantics(manifest: Manifest) -> None:
    """
    Raises:
        ManifestError: it was baked under another version of the rules by which things are hashed and compared.
    """
    if manifest.header.semantics != SEMANTICS:
        raise ManifestError(
            f"{manifest.path}: was baked under semantics {manifest.header.semantics}, and this version compares under"
            f" {SEMANTICS}: bake the image again with the version that runs on it"
        )


def _foreign_mounts(foreign: Mapping[str, Mount], policy: Policy) -> list[Change]:
    """Whatever is mounted over the image hides it, whatever its type."""
    return [
        Change("mount", path, "added", policy.decide(path).path_class, "high", {}, _mount_attributes(foreign[path]))
        for path in sorted(foreign, key=key_order)
    ]


def _mount_attributes(mount: Mount) -> Attributes:
    return {"type": mount.type, "source": mount.source}
