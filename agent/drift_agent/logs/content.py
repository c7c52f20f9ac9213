"""What a log file holds, plain or gzipped, and how two contents are told apart.

A file is known by its content, not by its name: rotation renames, copies, compresses and reuses inodes.
"""

import gzip
import hashlib
import os
import stat
import zlib
from dataclasses import dataclass
from typing import Final, Protocol

HEAD_BYTES: Final = 1024
TAIL_BYTES: Final = 256


class Content(Protocol):
    """The bytes of a file by position; those of a gzipped one are the bytes that were compressed."""

    def size(self) -> int:
        """How many there are now; of a gzipped file, a bound that `read` may fall short of."""

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer at the end. Raises OSError, of a torn gzip file too."""

    def linked(self) -> bool:
        """Whether a name still leads to it."""

    def key(self) -> tuple[int, int]:
        """Device and inode."""

    def close(self) -> None: ...


class PlainContent:
    """An open file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self._descriptor, count, offset)

    def linked(self) -> bool:
        return os.fstat(self._descriptor).st_nlink > 0

    def key(self) -> tuple[int, int]:
        return _key(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class GzipContent:
    """An open gzip file, decompressed as it is read; reading forwards is cheap, going back starts over."""

    def __init__(self, descriptor: int) -> None:
        self._raw = os.fdopen(descriptor, "rb")
        self._file = gzip.GzipFile(fileobj=self._raw)
        self._end: int | None = None

    def size(self) -> int:
        return self._end if self._end is not None else 1 << 62

    def read(self, offset: int, count: int) -> bytes:
        try:
            self._file.seek(offset)
            data = self._file.read(count)
        except (EOFError, zlib.error) as error:
            raise OSError(f"not whole: {error}") from None
        if len(data) < count:
            self._end = self._file.tell()
        return data

    def linked(self) -> bool:
        return os.fstat(self._raw.fileno()).st_nlink > 0

    def key(self) -> tuple[int, int]:
        return _key(self._raw.fileno())

    def close(self) -> None:
        self._file.close()
        self._raw.close()


def _key(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


class MovedError(OSError):
    """Rotation was quicker: under that name lies another file by now."""


def is_gzip(path: str) -> bool:
    return path.endswith(".gz")


def open_content(path: str, key: tuple[int, int]) -> Content:
    """The content of the regular file `path`, if it is the one with this device and inode. Never blocks on a FIFO.

    Raises:
        MovedError: another file lies there by now.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if _key(descriptor) != key or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise MovedError(f"{path} is another file by now")
    return GzipContent(descriptor) if is_gzip(path) else PlainContent(descriptor)


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of content that was seen: `length` bytes with this digest."""

    length: int = 0
    digest: str = ""

    @classmethod
    def of(cls, data: bytes) -> "Mark":
        return cls(len(data), hashlib.blake2b(data, digest_size=12).hexdigest() if data else "")

    def stands(self, content: Content, offset: int) -> bool:
        """Whether `content` has just these bytes at `offset`; nothing stands everywhere."""
        return self.length == 0 or (offset >= 0 and Mark.of(content.read(offset, self.length)) == self)


def begins_alike(one: Content, other: Content) -> bool:
    """Whether the shorter of two contents is, by its first and its last bytes, the beginning of the longer."""
    length = min(one.size(), other.size())
    head = one.read(0, min(HEAD_BYTES, length))
    if not head or other.read(0, len(head)) != head:
        return False
    # The end of a gzipped content is known only once it was read; its head has to do.
    if length >= 1 << 61 or isinstance(one, GzipContent) or isinstance(other, GzipContent):
        return True
    at = max(0, length - TAIL_BYTES)
    return one.read(at, length - at) == other.read(at, length - at)
