"""A small baked tree, and what a check says of it."""

from pathlib import Path

from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy, Rule
from drift_agent.model import Change
from trees import File, Link, Tree, bake_tree, make_tree

TREE: Tree = {
    "etc": {"hosts": "127.0.0.1\n", "hostname": "golden\n", "cron.d": {"job": "x"}, "link": Link("hosts")},
    "usr/bin": {"tool": File("#!/bin/sh\n", 0o755), "other": File("#!/bin/sh\n", 0o755)},
    "tmp": {"scratch": "x"},
}
POLICY = Policy.of([Rule("/tmp/**", "ignored"), Rule("/etc/{hostname,machine-id}", "sealed", severity="high")])


def make_root(folder: Path) -> Path:
    """The tree, as it was baked."""
    return make_tree(folder / "root", TREE)


def bake_root(root: Path) -> Manifest:
    """Its manifest, beside it."""
    return bake_tree(root, root.parent / "m.jsonl", POLICY)


def found(changes: list[Change]) -> set[tuple[str, str]]:
    """What changed, in short."""
    return {(change.change, change.key) for change in changes}
