"""Which files a section follows: those of its glob, and the rotated ones beside them."""

import glob
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_FILES: Final = 1000

_ROTATED: Final = re.compile(r"[.\-_](?:\d[\d\-_.T:]*|old|bak|save|copy|orig)$")
_GZIPPED: Final = ".gz"
_OTHERWISE_COMPRESSED: Final = (".bz2", ".xz", ".zst", ".lz4", ".Z", ".zip")


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file as it is listed now."""

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    matched: bool
    """By the glob itself; else it is a rotated file beside one that is."""

    @property
    def key(self) -> tuple[int, int]:
        return self.device, self.inode


def base_path(path: str) -> str:
    """The path that a rotated file had before: `access.log` of `access.log.1`, `access.log-20261123.gz`."""
    folder, name = os.path.split(path)
    name = name.removesuffix(_GZIPPED)
    stripped = _ROTATED.sub("", name)
    while stripped and stripped != name:
        name, stripped = stripped, _ROTATED.sub("", stripped)
    return os.path.join(folder, name)


def is_rotated(path: str) -> bool:
    """Whether the name looks like that of a rotated file or of a copy."""
    return base_path(path) != path


def log_name(path: str) -> str:
    """What a log is called by its file: the stem of its name before rotation."""
    name = os.path.basename(base_path(path))
    return os.path.splitext(name)[0] or name or "log"


def list_files(pattern: str, followed: Iterable[str]) -> list[Found]:
    """The files of `pattern`, then the rotated ones beside them and beside `followed` paths; oldest first each.

    At most `MAX_FILES`, the newest. Files compressed otherwise than by gzip are none of ours.
    """
    matched = set(glob.glob(pattern, recursive=True))
    bases = {base_path(path) for path in (*matched, *followed)}
    if not glob.has_magic(pattern):
        bases.add(pattern)
    found: dict[tuple[int, int], Found] = {}
    for path in (*sorted(matched), *sorted(_rotated_beside(bases) - matched)):
        one = _look_at(path, path in matched)
        if one is not None:
            found.setdefault(one.key, one)
    newest = sorted(found.values(), key=lambda one: one.mtime_ns)[-MAX_FILES:]
    return sorted(newest, key=lambda one: (is_rotated(one.path), one.mtime_ns))


def _rotated_beside(bases: set[str]) -> set[str]:
    beside = set()
    for folder in {os.path.dirname(base) for base in bases}:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue  # a folder that is gone, or closed to us, holds nothing that can be followed
        for name in names:
            path = os.path.join(folder, name)
            if path not in bases and base_path(path) in bases:
                beside.add(path)
    return beside


def _look_at(path: str, matched: bool) -> Found | None:
    if path.endswith(_OTHERWISE_COMPRESSED):
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None  # gone between listing and looking: rotation at work
    if not stat.S_ISREG(status.st_mode):
        return None
    return Found(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, matched)
