"""What was appended to a log since the last look, across rotation. For logs of logins: read whole, in blocks."""

import os
import re
import stat
from collections.abc import Iterator
from typing import Final

BLOCK_BYTES: Final = 1 << 20
"""So much is held at a time. A line that is longer is passed over."""

ANCHOR_BYTES: Final = 512
"""So much of what was read last is remembered, to know the file again: one that was cut may have grown since."""

_ROTATED: Final = re.compile(r"[.-]\d{1,14}(?:-\d{1,14})?")
"""What logrotate puts behind a name, as long as it has not compressed the file."""


class Tail:
    """Remembers in memory alone how far a file was read. `size` is that of a record; 1 is read by lines."""

    def __init__(self, path: str, size: int = 1) -> None:
        self._path = path
        self._size = size
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._anchor = b""
        self._within_a_line = False

    def read(self) -> Iterator[bytes]:
        """Whole lines, or records, that were not read before, in blocks; none where there is no such file.

        The first time, and after a rotation, the newest rotated file comes before it; of one that was copied and cut,
        what the copy has beyond.

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
            if identity != self._identity or not self._goes_on(file):
                yield from self._rest_of_rotated()
                self._identity, self._offset, self._anchor, self._within_a_line = identity, 0, b"", False
            yield from self._read_on(file, status.st_size)
        finally:
            os.close(file)

    def _goes_on(self, file: int) -> bool:
        """Whether what was read last stands where it stood."""
        return os.pread(file, len(self._anchor), self._offset - len(self._anchor)) == self._anchor

    def _rest_of_rotated(self) -> Iterator[bytes]:
        """What was appended before the file was renamed, or copied; at the first look, the whole of the newest."""
        for path in self._rotated():
            try:
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                status = os.fstat(file)
                known = self._identity in (None, (status.st_dev, status.st_ino))
                if stat.S_ISREG(status.st_mode) and (known or (self._anchor and self._goes_on(file))):
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
            self._anchor = (self._anchor + data[: whole or len(data)])[-ANCHOR_BYTES:]
            begin = data.find(b"\n") + 1 if self._within_a_line else 0
            self._within_a_line = whole == 0
            if whole > begin:
                yield data[begin:whole]
