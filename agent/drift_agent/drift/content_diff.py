"""Changes of contents that were kept at the bake, shown as unified diffs."""

import hashlib
import os
from dataclasses import replace
from typing import Final

from drift_agent.drift.diff import unified
from drift_agent.image.content import MAX_CONTENT_BYTES, Contents, folder_of, is_text
from drift_agent.image.manifest import Manifest
from drift_agent.image.rootfs import RootFiles
from drift_agent.line_protocol import portable
from drift_agent.model import Change

MAX_DIFFS: Final = 100
"""Diffs of one check; who changed more than that is not told line by line."""


def with_diffs(root: str, manifest: Manifest, changes: list[Change]) -> list[Change]:
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
