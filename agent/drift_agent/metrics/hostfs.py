"""Where a host's own numbers are read: `/proc` and `/sys`, or a captured tree of them.

`psutil.PROCFS_PATH` says where `/proc` is, for psutil and for us; `SYSFS_PATH` does for `/sys`.
"""

import os
import re
from collections.abc import Callable
from typing import Final, TypeVar

import psutil

SYSFS_PATH = "/sys"
_BLOCK: Final = 1 << 16
_VALUE: Final = 4096
_MAX_BYTES: Final = 1 << 24

T = TypeVar("T")


def proc(name: str) -> str:
    """Path of `/proc/NAME`."""
    return f"{psutil.PROCFS_PATH}/{name}"


def sys(name: str) -> str:
    """Path of `/sys/NAME`."""
    return f"{SYSFS_PATH}/{name}"


def read(path: str) -> bytes:
    """A whole file, at most 16 MiB. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, _BLOCK)
        if not data:
            return data
        parts = [data]
        while (data := os.read(descriptor, _BLOCK)) and len(parts) * _BLOCK < _MAX_BYTES:
            parts.append(data)
        return b"".join(parts) if len(parts) > 1 else parts[0]
    finally:
        os.close(descriptor)


def read_if_there(path: str) -> bytes | None:
    """A whole file, or None where this kernel has none, or none that answers."""
    return absent(read, path)


def absent(reader: Callable[[str], T], path: str) -> T | None:
    """`reader(path)`, or None where there is nothing to read: no such file, or one whose device is gone."""
    try:
        return reader(path)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return None
    except OSError as error:
        # sysfs attributes of a device that is down or has no such value answer so.
        if error.errno in _NO_VALUE:
            return None
        raise


_NO_VALUE: Final = frozenset({22, 19, 95})  # EINVAL, ENODEV, EOPNOTSUPP


def read_value(path: str) -> bytes:
    """A file that holds one value, as those of `/sys` and `/proc/sys` do: whole in one read. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _VALUE)
    finally:
        os.close(descriptor)


def read_int(path: str, base: int = 10) -> int | None:
    """The number that a file holds, or None where there is no such file."""
    data = absent(read_value, path)
    return int(data, base) if data is not None else None


_MEMINFO_LINE: Final = re.compile(rb"^([\w()]+): *(\d+)( kB)?", re.MULTILINE)


def keyed_kib(data: bytes) -> dict[bytes, int]:
    """`/proc/meminfo`: values by name; those in kB as bytes, counts as they are."""
    return {name: int(number) << 10 if unit else int(number) for name, number, unit in _MEMINFO_LINE.findall(data)}
