"""What is seen of files that are read in one piece, and the program of a process that looks at them.

The process runs it by its path and without site packages, for it starts within 20 ms then: it imports nothing of ours.
A message in holds the descriptors of folders, and as 16-bit numbers how many these are and how many files in each are
to be looked at; the names follow, joined by NUL. A message out holds a `RECORD` for each file, the xattrs of all of
them, and the descriptors of those that are left open. It goes on until the other side is gone.
"""

import errno
import fcntl
import hashlib
import os
import socket
import struct
import sys
from array import array
from collections.abc import Iterable
from stat import S_ISREG

OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
GET_FLAGS = 0x80086601 if struct.calcsize("l") == 8 else 0x80046601
FLAG_MASK = 0x30
NOT_THERE = frozenset((errno.ENOTSUP, errno.ENOTTY, errno.ENOSYS, errno.EINVAL, errno.ENOENT))
"""How asking for flags or xattrs fails where the file system keeps none."""
HAS_XATTRS = hasattr(os, "listxattr")

BATCH = 32
"""Files in one message at most."""
MAX_BYTES = 1 << 20
"""Files are smaller, and read in one piece."""
MAX_BATCH_BYTES = 4 << 20
"""No file is read once so much was for one batch: those behind are left open."""
MAX_MESSAGE = 2 * (1 + BATCH) + 256 * BATCH
MAX_XATTRS = 256
"""Bytes that say what xattrs a file has: four or so. One that has more is left open."""

RECORD = struct.Struct("<BHIIIQQQqqq32s")
"""How a file was seen; in how many bytes its xattrs are said; of its stat mode, uid, gid, nlink, device, inode, size,
mtime and ctime (ns); its SHA-256."""
MAX_ANSWER = (RECORD.size + MAX_XATTRS) * BATCH
WHOLE, OPEN = 1, 2
"""`WHOLE`: as many bytes were read as the size says. `OPEN`: its descriptor comes along, for it is not whole, or has
flags, or more xattrs than are said."""
UNSEEN = bytes(RECORD.size)
"""It is gone, no regular file, or cannot be opened."""


def look(folder: int, name: bytes, most: int, buffer: memoryview) -> tuple[bytes, bytes, int, int]:
    """The record of a name in an open folder, its xattrs, its descriptor where it is left open (else -1), bytes read.

    No link is followed. Files of more than `most` bytes, and of more than the buffer holds, are not read.
    """
    try:
        descriptor = os.open(name, OPEN_FILE, dir_fd=folder)
    except OSError:
        return UNSEEN, b"", -1, 0
    how, count, digest, xattrs = OPEN, 0, b"", b""
    try:
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            os.close(descriptor)
            return UNSEEN, b"", -1, 0
        size = status.st_size
        if size <= most and size < len(buffer):
            count = os.readv(descriptor, [buffer[: size + 1]])
            if count != size:  # whoever reads it again begins at its beginning
                os.lseek(descriptor, 0, os.SEEK_SET)
            else:
                digest = hashlib.sha256(buffer[:count]).digest()
                said = None if _has_flags(descriptor) else _xattrs(descriptor)
                how, xattrs = (WHOLE | OPEN, b"") if said is None else (WHOLE, said)
        record = RECORD.pack(
            how, len(xattrs), status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_dev,
            status.st_ino, size, status.st_mtime_ns, status.st_ctime_ns, digest,
        )  # fmt: skip
    except (OSError, struct.error):  # it cannot be read, or has a time beyond the year 2262
        os.close(descriptor)
        return UNSEEN, b"", -1, count
    if how == WHOLE:
        os.close(descriptor)
        return record, xattrs, -1, count
    return record, b"", descriptor, count


def look_at(
    folders: Iterable[int], counts: Iterable[int], names: list[bytes], buffer: memoryview
) -> tuple[bytes, list[int]]:
    """The records of the first `counts` names in the first of the open folders, and so on, with their xattrs behind;
    and what is left open."""
    records, said, left_open = [], [], []
    room, number = MAX_BATCH_BYTES, 0
    for folder, count in zip(folders, counts, strict=True):
        for name in names[number : number + count]:
            record, xattrs, descriptor, read = look(folder, name, room, buffer)
            records.append(record)
            said.append(xattrs)
            room -= read
            if descriptor >= 0:
                left_open.append(descriptor)
        number += count
    return b"".join((*records, *said)), left_open


def _has_flags(descriptor: int) -> bool:
    """Whether it has flags, as far as is known."""
    try:
        return bool(fcntl.ioctl(descriptor, GET_FLAGS, b"\0\0\0\0\0\0\0\0")[0] & FLAG_MASK)
    except OSError as error:
        return error.errno not in NOT_THERE


def _xattrs(descriptor: int) -> bytes | None:
    """Name, NUL and SHA-256 of each xattr that is not root's alone; None where they cannot be said."""
    try:
        names = os.listxattr(descriptor) if HAS_XATTRS else []
        said = b"".join(
            os.fsencode(name) + b"\0" + hashlib.sha256(os.getxattr(descriptor, name)).digest()
            for name in sorted(names)
            if not name.startswith("trusted.")
        )
    except OSError as error:
        return b"" if error.errno in NOT_THERE else None
    return said if len(said) <= MAX_XATTRS else None


def xattrs_of(said: bytes) -> dict[str, str]:
    """Hex SHA-256 of each xattr by its name, as a message says them."""
    found = {}
    while said:
        name, _, said = said.partition(b"\0")
        found[name.decode("utf-8", "backslashreplace")] = said[:32].hex()
        said = said[32:]
    return found


def message(counts: "array[int]", names: list[bytes]) -> bytes:
    """What `serve` is asked."""
    return array("H", [len(counts), *counts]).tobytes() + b"\0".join(names)


def serve(connection: socket.socket) -> None:
    """Serves one connection to its end, or to a message that did not arrive whole."""
    buffer = memoryview(bytearray(MAX_BYTES))
    while True:
        asked, folders, how, _ = socket.recv_fds(connection, MAX_MESSAGE, BATCH)
        if not asked or how & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            return
        number = array("H", asked[:2])[0]
        if number != len(folders):
            return
        counts, names = array("H", asked[2 : 2 + 2 * number]), asked[2 + 2 * number :].split(b"\0")
        records, left_open = look_at(folders, counts, names, buffer)
        socket.send_fds(connection, [records], left_open)
        for descriptor in (*folders, *left_open):
            os.close(descriptor)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
