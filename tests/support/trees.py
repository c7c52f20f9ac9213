"""Root trees declared in a test, made on disk."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy


@dataclass(frozen=True)
class Link:
    """A symbolic link to `target`."""

    target: str


@dataclass(frozen=True)
class File:
    """A file with a mode."""

    text: str
    mode: int = 0o644


Node: TypeAlias = "str | File | Link | Mapping[str, Node] | None"
Tree: TypeAlias = Mapping[str, Node]


def make_tree(root: Path, tree: Tree) -> Path:
    """Makes `tree` below `root`: text is a file's content, a mapping a folder, None an empty folder."""
    root.mkdir(parents=True, exist_ok=True)
    for name, node in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if node is None:
            path.mkdir(exist_ok=True)
        elif isinstance(node, str):
            path.write_text(node)
        elif isinstance(node, File):
            path.write_text(node.text)
            path.chmod(node.mode)
        elif isinstance(node, Link):
            os.symlink(node.target, path)
        else:
            make_tree(path, node)
    return root


def bake_tree(root: Path, output: Path, policy: Policy | None = None) -> Manifest:
    """Bakes `root` (every path frozen, unless a policy says otherwise) and opens the manifest."""
    bake(str(root), "demo", "1", policy or Policy.of([]), str(output), allow_unreadable=True)
    return Manifest.open(str(output))
