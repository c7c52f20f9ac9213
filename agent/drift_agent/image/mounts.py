"""Which mounts stand below a root, and which belong to its image."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from drift_agent.image.policy import Policy

MOUNTINFO: Final = ("/proc/1/mountinfo", "/proc/self/mountinfo")
"""The first that can be read: a hardened unit has a mount namespace of its own, and the machine's is that of PID 1."""

_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount point, as a path below the root; its file system's type and source."""

    path: str
    type: str
    source: str


def parse_mountinfo(text: str, root: str) -> dict[str, Mount]:
    """The mounts below `root` (an absolute path without links), by their path below it; the root's own left out.

    Format: proc_pid_mountinfo(5). Lines that are not of it are skipped.
    """
    prefix = "" if root == "/" else root
    mounts: dict[str, Mount] = {}
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if not separator or len(fields) < 5 or len(rest) < 2:
            continue
        path = _unescape(fields[4])
        if path.startswith(f"{prefix}/") and len(path) > len(prefix) + 1:
            path = path[len(prefix) :]
            mounts[path] = Mount(path, rest[0], _unescape(rest[1]))
    return mounts


def parse_fstab(text: str) -> tuple[str, ...]:
    """The mount points that a fstab(5) names, sorted, without the root."""
    points = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 3 and not fields[0].startswith("#") and fields[1].startswith("/") and fields[2] != "swap":
            path = _unescape(fields[1]).rstrip("/")
            if path:
                points.add(path)
    return tuple(sorted(points))


def standing(root: str, policy: Policy) -> dict[str, Mount]:
    """The mounts that stand below `root` now where the policy compares something, by path; none where nobody says."""
    for source in MOUNTINFO:
        try:
            with open(source, encoding="utf-8", errors="surrogateescape") as file:
                found = parse_mountinfo(file.read(), os.path.realpath(root))
        except OSError:
            continue
        return {path: mount for path, mount in found.items() if policy.decide(path).path_class != "ignored"}
    return {}


def foreign(found: Mapping[str, Mount], image_mounts: tuple[str, ...]) -> dict[str, Mount]:
    """Those of the mounts that do not belong to the image."""
    return {path: mount for path, mount in found.items() if path not in image_mounts}


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), text) if "\\" in text else text
