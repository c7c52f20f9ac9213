"""The attributes of one entry of a tree, by descriptors alone: no path is ever resolved twice.

Nothing here opens a FIFO, a socket or a device, and nothing follows a link.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable
from typing import Final, TypeAlias

from drift_agent.errors import InputError
from drift_agent.image import hash_worker
from drift_agent.image.canonical import XATTR
from drift_agent.image.hash_worker import NOT_THERE
from drift_agent.model import AttributeValue

OPEN_FILE: Final = hash_worker.OPEN_FILE
OPEN_DIR: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

BLOCK: Final = 1 << 20

Pace: TypeAlias = Callable[[int], None]
"""Told of each block that was read, by the thread that read it (bytes); may wait, and may raise `ReadStoppedError`."""

_FLAG_NAMES: Final = ((0x10, "i"), (0x20, "a"))


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


def listing(descriptor: int) -> list[tuple[str, bool]]:
    """The names in an open folder, in the order of their bytes, and whether each is a regular file's.

    Raises:
        OSError: it cannot be listed.
    """
    with os.scandir(descriptor) as listed:
        found = [(one.name, _is_file(one)) for one in listed]
    if all(name.isascii() for name, _ in found):
        found.sort()
    else:  # code points sort as UTF-8 does, but for the surrogates that stand for other bytes
        found.sort(key=lambda one: os.fsencode(one[0]))
    return found


def _is_file(one: "os.DirEntry[str]") -> bool:
    try:
        return one.is_file(follow_symlinks=False)
    except OSError:  # some file systems do not say it with the name, and then it takes a stat
        return False


def flags(descriptor: int) -> str:
    """`i`, `a` or `ia` of an open file or folder; empty where the file system keeps none.

    Raises:
        OSError: they are kept and could not be read.
    """
    try:
        answer = fcntl.ioctl(descriptor, hash_worker.GET_FLAGS, b"\0\0\0\0\0\0\0\0")
    except OSError as error:
        if error.errno in NOT_THERE:
            return ""
        raise
    bits = answer[0] & hash_worker.FLAG_MASK
    return "".join(name for bit, name in _FLAG_NAMES if bits & bit) if bits else ""


def xattrs(where: int | str) -> dict[str, AttributeValue]:
    """SHA-256 of each extended attribute, by `xattr.NAME`; `trusted.*`, which only root sees, is left out.

    `where` is a descriptor, or a path whose last component is not followed.

    Raises:
        OSError: they are there and could not be read.
    """
    if not hash_worker.HAS_XATTRS:
        return {}
    follow = isinstance(where, int)
    try:
        names = os.listxattr(where, follow_symlinks=follow)
    except OSError as error:
        if error.errno in NOT_THERE:
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
    """Content and hex SHA-256 of a file just opened, of `size` by its stat.

    The content is None where that is 1 MiB or more, or is not the file's size any more.

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
