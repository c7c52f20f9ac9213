"""What was appended to a log since the last look, across rotation. For logs of logins: small, and read whole."""

import os
import stat
from typing import Final

MAX_BYTES: Final = 16 << 20
"""Of a larger file only the end is read."""


class Tail:
    """Remembers in memory alone how far a file was read. `size` is that of a record; 1 is read by lines."""

    def __init__(self, path: str, size: int = 1) -> None:
        self._path = path
        self._size = size
        self._identity: tuple[int, int] | None = None
        self._offset = 0

    def read(self) -> bytes:
        """Whole lines, or records, that were not read before; empty where there is no such file.

        Raises:
            OSError: the file is there and cannot be read.
        """
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return b""
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                return b""
            rest = b""
            identity = (status.st_dev, status.st_ino)
            if identity != self._identity or status.st_size < self._offset:
                rest = self._rest_of_rotated()
                self._identity, self._offset = identity, 0
            return rest + self._read_on(file, status.st_size)
        finally:
            os.close(file)

    def _rest_of_rotated(self) -> bytes:
        """What was appended to the file before it was renamed to `.1`."""
        if self._identity is None:
            return b""
        try:
            file = os.open(f"{self._path}.1", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return b""
        try:
            status = os.fstat(file)
            same = (status.st_dev, status.st_ino) == self._identity
            return self._read_on(file, status.st_size) if same else b""
        finally:
            os.close(file)

    def _read_on(self, file: int, size: int) -> bytes:
        start = max(self._offset, (size - MAX_BYTES) // self._size * self._size)
        data = os.pread(file, size - start, start)
        whole = len(data) // self._size * self._size if self._size > 1 else data.rfind(b"\n") + 1
        self._offset = start + whole
        return data[:whole]
