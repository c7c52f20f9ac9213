"""The attributes of one entry of a tree, by descriptors alone: no path is ever resolved twice.

Nothing here opens a FIFO, a socket or a device, and nothing follows a link.
"""

import errno
import fcntl
import hashlib
import os
import stat
import struct
from collections.abc import Callable
from typing import Final, TypeAlias

from drift_agent.errors import InputError
from drift_agent.image.canonical import XATTR
from drift_agent.model import AttributeValue

OPEN_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
OPEN_DIR: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

BLOCK: Final = 1 << 20

Pace: TypeAlias = Callable[[int], None]
"""Told of each block that was read, by the thread that read it (bytes); may wait, and may raise `ReadStoppedError`."""

GET_FLAGS: Final = 0x80086601 if struct.calcsize("l") == 8 else 0x80046601
_FLAG_NAMES: Final = ((0x10, "i"), (0x20, "a"))
FLAG_MASK: Final = 0x30
_HAS_XATTRS: Final = hasattr(os, "listxattr")
_NOT_THERE: Final = frozenset((errno.ENOTSUP, errno.ENOTTY, errno.ENOSYS, errno.EINVAL, errno.ENOENT))

_TYPES: Final = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "block",
    stat.S_IFCHR: "char",
}


class ReadStoppedError(Exception):
    """What is being read is not to be read to its end: whoever reads gives up."""


class PostponedError(ReadStoppedError):
    """This one content alone is not to be read now."""


def reason(error: OSError) -> str:
    """What the system says of an error."""
    return error.strerror or type(error).__name__


def open_root(root: str) -> int:
    """A descriptor of the folder that stands for `/`.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{root}: cannot be opened as a root folder: {error.strerror}") from None


def names(descriptor: int) -> list[str]:
    """The names in an open folder, in the order of their bytes."""
    found = os.listdir(descriptor)
    if all(map(str.isascii, found)):
        found.sort()
    else:  # code points sort as UTF-8 does, but for the surrogates that stand for other bytes
        found.sort(key=os.fsencode)
    return found


def stat_attributes(status: os.stat_result) -> dict[str, AttributeValue]:
    """What a stat says: `type`, `mode` (not of links: they have none), `uid`, `gid`, `nlink` of files, `device`."""
    mode = status.st_mode
    kind = _TYPES.get(stat.S_IFMT(mode), "file")
    attributes: dict[str, AttributeValue] = {"type": kind}
    if kind != "link":
        attributes["mode"] = f"{stat.S_IMODE(mode):04o}"
    attributes["uid"] = status.st_uid
    attributes["gid"] = status.st_gid
    if kind == "file":
        attributes["nlink"] = status.st_nlink
    if kind in ("block", "char"):
        attributes["device"] = f"{os.major(status.st_rdev)},{os.minor(status.st_rdev)}"
    return attributes


def flags(descriptor: int) -> str:
    """`i`, `a` or `ia` of an open file or folder; empty where the file system keeps none.

    Raises:
        OSError: they are kept and could not be read.
    """
    try:
        answer = fcntl.ioctl(descriptor, GET_FLAGS, b"\0\0\0\0\0\0\0\0")
    except OSError as error:
        if error.errno in _NOT_THERE:
            return ""
        raise
    bits = answer[0] & FLAG_MASK
    return "".join(name for bit, name in _FLAG_NAMES if bits & bit) if bits else ""


def xattrs(where: int | str) -> dict[str, AttributeValue]:
    """SHA-256 of each extended attribute, by `xattr.NAME`; `trusted.*`, which only root sees, is left out.

    `where` is a descriptor, or a path whose last component is not followed.

    Raises:
        OSError: they are there and could not be read.
    """
    if not _HAS_XATTRS:
        return {}
    follow = isinstance(where, int)
    try:
        names = os.listxattr(where, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return {}
        raise
    found: dict[str, AttributeValue] = {}
    for name in sorted(names):
        if name.startswith("trusted."):
            continue
        try:
            value = os.getxattr(where, name, follow_symlinks=follow)
        except OSError as error:
            if error.errno != errno.ENODATA:  # taken away in between
                raise
            continue
        found[XATTR + os.fsencode(name).decode("utf-8", "backslashreplace")] = hashlib.sha256(value).hexdigest()
    return found


def extended(descriptor: int, wanted: frozenset[str]) -> dict[str, AttributeValue]:
    """What of an open file or folder is `wanted` that a stat does not say: `flags`, and each xattr.

    Raises:
        OSError: it is there and could not be read.
    """
    attributes: dict[str, AttributeValue] = {}
    if "flags" in wanted and (found := flags(descriptor)):
        attributes["flags"] = found
    if "xattr" in wanted:
        attributes.update(xattrs(descriptor))
    return attributes


def digest(
    descriptor: int, size: int, buffer: bytearray | None = None, pace: Pace | None = None
) -> tuple[bytes | None, str]:
    """Content (None where it was over 1 MiB, or changed) and hex SHA-256 of a file just opened, of `size` by its stat.

    A file that changes while it is read is read again, at most three times; what was read last counts.

    Raises:
        OSError: it could not be read.
        ReadStoppedError: `pace` said so.
    """
    if size < BLOCK:
        content = os.read(descriptor, size + 1)
        if pace is not None:
            pace(len(content))
        if len(content) == size:
            return content, hashlib.sha256(content).hexdigest()
    buffer = bytearray(BLOCK) if buffer is None else buffer
    view = memoryview(buffer)
    before = os.fstat(descriptor)
    for _ in range(3):
        os.lseek(descriptor, 0, os.SEEK_SET)
        total = hashlib.sha256()
        while count := os.readv(descriptor, [buffer]):
            total.update(view[:count])
            if pace is not None:
                pace(count)
        after = os.fstat(descriptor)
        if (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
            after.st_size,
            after.st_mtime_ns,
            after.st_ctime_ns,
        ):
            break
        before = after
    return None, total.hexdigest()
