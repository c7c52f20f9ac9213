"""The image and the machine side by side, as the detector asks for them."""

import os
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from drift_agent.config import Config
from drift_agent.drift.check import check_tree
from drift_agent.drift.check_paths import check_paths
from drift_agent.drift.check_result import CheckResult
from drift_agent.drift.runtime import gather
from drift_agent.drift.runtime.fact import Observation
from drift_agent.drift.shared_identity import shared_identities
from drift_agent.image.inspect import Pace
from drift_agent.image.manifest import Manifest
from drift_agent.model import Change

CACHE: Final = "stat.cache"

MANIFEST: Final = "manifest"
"""The kind of the manifest itself, as an item that is sealed: no digest of it that is shipped covers what it says of
sealed items, so who edits it there must be seen here."""


class Comparison(Protocol):
    """One open manifest, and the root that is compared with it. A look may raise any `DriftlineError`."""

    @property
    def digest(self) -> str:
        """The manifest's digest, from its header."""

    @property
    def policy_digest(self) -> str:
        """The effective policy's."""

    def tree(self, progress: Callable[[int], None], pace: Pace, *, rehash: bool) -> CheckResult:
        """Looks at everything; calls `progress` often with the count so far, from this thread.

        `pace` is told of each block that is read, in any thread. What either raises ends the look.
        Without `rehash` the content of a file that nothing was done to since the last time may be taken as known.
        """

    def paths(self, paths: Collection[str], trees: Collection[str]) -> CheckResult:
        """Looks at these paths alone, and at `trees` with everything below; in about half a second, or not at all."""

    def runtime(self) -> Observation:
        """Looks at the facts of the running machine."""

    def shared_identities(self, result: CheckResult) -> list[Change]:
        """What of this instance's identity was baked into the image, after a complete look."""

    def compares(self, kind: str) -> bool:
        """Whether the image's policy compares this baked kind."""

    def is_ignored(self, path: str) -> bool:
        """Whether nothing at or below the folder `path` is compared."""

    def close(self) -> None:
        """Lets the manifest go."""


class ImageComparison:
    """A `Comparison` of a real root."""

    def __init__(self, root: str, manifest: Manifest, cache: str | None = None) -> None:
        """`cache` is the file that remembers what was seen from one complete look to the next."""
        self._root = root
        self._cache = cache
        self._manifest = manifest
        self._policy = manifest.header.policy
        self.digest = manifest.header.digest
        self.policy_digest = manifest.header.policy_digest

    def tree(self, progress: Callable[[int], None], pace: Pace, *, rehash: bool) -> CheckResult:
        """Looks at everything below the root, and at the manifest itself."""
        result = check_tree(
            self._root, self._manifest, cache=self._cache, rehash=rehash, progress=progress, pace=pace, alone=True
        )
        itself = {"sha256": self._manifest.file_digest()}
        path = os.path.abspath(self._manifest.path)
        return replace(result, changes=[*result.changes, Change(MANIFEST, path, "added", "sealed", "high", {}, itself)])

    def paths(self, paths: Collection[str], trees: Collection[str]) -> CheckResult:
        """Looks at these alone."""
        return check_paths(self._root, self._manifest, paths, trees=trees)

    def runtime(self) -> Observation:
        """Looks at the running machine, where that is what stands at the root."""
        return gather(self._manifest) if os.path.realpath(self._root) == "/" else Observation([], [])

    def shared_identities(self, result: CheckResult) -> list[Change]:
        """Those files of an identity that are still the image's."""
        unseen = {one.key for one in result.unreadable}
        return shared_identities(self._manifest, unseen | {change.key for change in result.changes})

    def compares(self, kind: str) -> bool:
        """Whether the policy names this baked kind."""
        return kind in self._policy.kinds

    def is_ignored(self, path: str) -> bool:
        """Whether a watch of this folder could only tell of what nobody asks for."""
        state = self._policy.state(path)
        return self._policy.decision(state).path_class == "ignored" and not self._policy.descends(state)

    def close(self) -> None:
        """Closes the manifest."""
        self._manifest.close()


def open_comparison(config: Config, state: Path) -> Comparison:
    """The comparison that a configuration asks for; `state` is the agent's folder, where the stat cache is kept.

    Raises:
        ManifestError: there is no manifest, or it cannot be believed.
    """
    return ImageComparison(config.image.root, Manifest.open(config.image.manifest), str(state / CACHE))
