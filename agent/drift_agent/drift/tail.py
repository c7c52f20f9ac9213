"""What was appended to a log since the last look, across rotation. For logs of logins: read whole, in blocks."""

import os
import re
import stat
from collections.abc import Iterator
from typing import Final

BLOCK_BYTES: Final = 1 << 20
"""So much is held at a time. A line that is longer is passed over."""

_ROTATED: Final = re.compile(r"[.-]\d{1,14}(?:-\d{1,14})?")
"""What logrotate puts behind a name, as long as it has not compressed the file."""


class Tail:
    """Remembers in memory alone how far a file was read. `size` is that of a record; 1 is read by lines."""

    def __init__(self, path: str, size: int = 1) -> None:
        self._path = path
        self._size = size
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._within_a_line = False

    def read(self) -> Iterator[bytes]:
        """Whole lines, or records, that were not read before, in blocks; none where there is no such file.

        The first time, and after a rotation, the newest rotated file comes before it.

        Raises:
            OSError: the file is there and cannot be read.
        """
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                return
            identity = (status.st_dev, status.st_ino)
            if identity != self._identity or status.st_size < self._offset:
                if self._identity != identity:
                    yield from self._rest_of_rotated()
                self._identity, self._offset, self._within_a_line = identity, 0, False
            yield from self._read_on(file, status.st_size)
        finally:
            os.close(file)

    def _rest_of_rotated(self) -> Iterator[bytes]:
        """What was appended to the file before it was renamed; at the first look, the whole of the newest."""
        for path in self._rotated():
            try:
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                status = os.fstat(file)
                known = self._identity in (None, (status.st_dev, status.st_ino))
                if stat.S_ISREG(status.st_mode) and known:
                    yield from self._read_on(file, status.st_size)
                    return
            finally:
                os.close(file)

    def _rotated(self) -> list[str]:
        """The rotated files, newest first."""
        folder, name = os.path.split(self._path)
        try:
            with os.scandir(folder or ".") as entries:
                rotated = [
                    (entry.stat(follow_symlinks=False).st_mtime_ns, entry.path)
                    for entry in entries
                    if entry.name.startswith(name) and _ROTATED.fullmatch(entry.name[len(name) :])
                ]
        except OSError:
            return []
        return [path for _, path in sorted(rotated, reverse=True)]

    def _read_on(self, file: int, size: int) -> Iterator[bytes]:
        """From where the last look ended to `size`: what is appended meanwhile is left to the next."""
        block = BLOCK_BYTES // self._size * self._size
        while self._offset < size:
            data = os.pread(file, min(block, size - self._offset), self._offset)
            whole = len(data) // self._size * self._size if self._size > 1 else data.rfind(b"\n") + 1
            if whole == 0 and len(data) < block:  # the end of a line, or record, is still to come
                return
            self._offset += whole or len(data)
            begin = data.find(b"\n") + 1 if self._within_a_line else 0
            self._within_a_line = whole == 0
            if whole > begin:
                yield data[begin:whole]
