"""Which mounts stand below a root, and which belong to its image."""

import os
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

from drift_agent.errors import ConfigError
from drift_agent.image.policy import Policy

MOUNTINFO: Final = ("/proc/1/mountinfo", "/proc/self/mountinfo")
"""The first that can be read: a hardened unit has a mount namespace of its own, and the machine's is that of PID 1."""

VOLATILE: Final = frozenset({"tmpfs", "ramfs", "overlay"})
"""File systems of an image whose content is gone after a boot."""

STEADY: Final = frozenset(
    {"bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "nilfs2", "overlay", "reiserfs"}
    | {"squashfs", "ubifs", "ufs", "xfs", "zfs"}
)
"""File systems whose ctime tells every change. FAT has no ctime but the mtime, which anybody sets back; tmpfs sets none
for what is written through a mapping; network and user-space file systems say what their server says."""

_GIVEN: Final = re.compile(r"(?P<path>/.*?)(?:=(?P<type>[A-Za-z0-9._-]{1,64}))?", re.DOTALL)
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_DEVICE: Final = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")


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


def parse_fstab(text: str) -> dict[str, str]:
    """The mount points that a fstab(5) names, with the types of their file systems; of one named twice, the last."""
    points: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 3 and not fields[0].startswith("#") and fields[1].startswith("/") and fields[2] != "swap":
            points[_unescape(fields[1]).rstrip("/") or "/"] = fields[2]
    return points


def parse_given(text: str) -> tuple[str, str]:
    """The mount point and the type of `PATH` or `PATH=TYPE`; no type is empty.

    Raises:
        ConfigError: it is of another form.
    """
    match = _GIVEN.fullmatch(text)
    if match is None:
        raise ConfigError(f"mount {text!r}: write the path in the image, beginning with '/', or PATH=TYPE")
    return match["path"].rstrip("/") or "/", match["type"] or ""


def is_volatile(path: str, image_mounts: Mapping[str, str]) -> bool:
    """Whether `path` lies on a mount of the image that does not outlive a boot: the innermost one above it says."""
    above = path
    while above not in image_mounts:
        if above == "/":
            return False
        above = above.rpartition("/")[0] or "/"
    return image_mounts[above] in VOLATILE


def parse_unsteady(text: str) -> frozenset[int]:
    """The devices (as `st_dev`) of the mounted file systems that are not `STEADY`. Format: proc_pid_mountinfo(5)."""
    devices = set()
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        device = _DEVICE.fullmatch(before.split(" ")[2]) if before.count(" ") >= 4 else None
        if device is not None and after.partition(" ")[0] not in STEADY:
            devices.add(os.makedev(int(device[1]), int(device[2])))
    return frozenset(devices)


def unsteady() -> frozenset[int]:
    """The devices where a stat does not tell every change; none where nobody says what is mounted."""
    return parse_unsteady(_table())


def standing(root: str, policy: Policy) -> dict[str, Mount]:
    """The mounts that stand below `root` now where the policy compares something, by path; none where nobody says."""
    found = parse_mountinfo(_table(), os.path.realpath(root))
    return {path: mount for path, mount in found.items() if policy.decide(path).path_class != "ignored"}


def foreign(found: Mapping[str, Mount], image_mounts: Container[str]) -> dict[str, Mount]:
    """Those of the mounts that do not belong to the image."""
    return {path: mount for path, mount in found.items() if path not in image_mounts}


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), text) if "\\" in text else text


def _table() -> str:
    """What is mounted, as the machine's mountinfo has it; empty where there is none."""
    for source in MOUNTINFO:
        try:
            with open(source, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except OSError:
            continue
    return ""
