"""Reading single files of a root tree. Links are followed as the machine itself would: within the root alone."""

import errno
import os
import stat
from typing import IO, Final, Self

from drift_agent.image import inspect

MAX_FILE_BYTES: Final = 64 << 20
MAX_LINKS: Final = 40
_BLOCK: Final = 1 << 18

_MISSING: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))


class RootFiles:
    """Small files of the tree at `root`, by their keys (paths that begin with `/`)."""

    def __init__(self, root: str) -> None:
        """
        Raises:
            InputError: the root cannot be opened.
        """
        self._root = inspect.open_root(root)

    def close(self) -> None:
        """Gives the root's descriptor back."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, key: str, limit: int = MAX_FILE_BYTES) -> bytes | None:
        """The content; None where there is no regular file.

        Raises:
            OSError: it is there and cannot be read, or is larger than `limit` bytes (EFBIG).
        """
        descriptor = self._open(key, inspect.OPEN_FILE)
        return None if descriptor is None else self._content(descriptor, key, limit)

    def read_public(self, key: str, limit: int = MAX_FILE_BYTES) -> bytes | None:
        """The content of a file that every user may read; None where it is none.

        Raises:
            OSError: as `read`.
        """
        descriptor = self._open(key, inspect.OPEN_FILE, public=True)
        return None if descriptor is None else self._content(descriptor, key, limit)

    def copy(self, key: str, to: IO[bytes], limit: int) -> bool:
        """Writes the content to a file, block by block; False where there is no regular file.

        Raises:
            OSError: as `read`, or `to` cannot be written.
        """
        descriptor = self._open(key, inspect.OPEN_FILE)
        if descriptor is None:
            return False
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return False
            while block := file.read(_BLOCK):
                limit -= len(block)
                if limit < 0:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), key)
                to.write(block)
        return True

    def text(self, key: str, limit: int = MAX_FILE_BYTES) -> str | None:
        """The content as text; bytes that are not UTF-8 are surrogates.

        Raises:
            OSError: as `read`.
        """
        content = self.read(key, limit)
        return None if content is None else content.decode("utf-8", "surrogateescape")

    def names(self, key: str) -> list[str]:
        """The sorted names in a folder; none where there is no folder.

        Raises:
            OSError: it is there and cannot be read.
        """
        descriptor = self._open(key, inspect.OPEN_DIR)
        if descriptor is None:
            return []
        try:
            return sorted(os.listdir(descriptor))
        finally:
            os.close(descriptor)

    def target(self, key: str) -> str | None:
        """Where the link at `key` leads; None where there is no link."""
        parent, _, name = key.rpartition("/")
        folder = self._open(parent or "/", inspect.OPEN_DIR)
        if folder is None:
            return None
        try:
            return os.readlink(name, dir_fd=folder)
        except OSError:
            return None
        finally:
            os.close(folder)

    @staticmethod
    def _content(descriptor: int, key: str, limit: int) -> bytes | None:
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = file.read(limit + 1)
        if len(content) > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), key)
        return content

    def _open(self, key: str, how: int, *, public: bool = False) -> int | None:
        """A descriptor; None where nothing of that sort is there, or, with `public`, not every user may read it."""
        waiting = _reversed_names(key)
        path: list[int] = [os.dup(self._root)]
        links = 0
        try:
            while waiting:
                name = waiting.pop()
                if name == "..":
                    _close(path, 1 if len(path) > 1 else 0)
                elif (target := self._link(path[-1], name)) is not None:
                    links += 1
                    if links > MAX_LINKS:
                        return None
                    if target.startswith("/"):
                        _close(path, len(path) - 1)
                    waiting += _reversed_names(target)
                elif not self._enter(path, name, inspect.OPEN_DIR if waiting else how, public=public):
                    return None
            return os.dup(path[-1])
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise
        finally:
            _close(path, len(path))

    @staticmethod
    def _enter(path: list[int], name: str, how: int, *, public: bool) -> bool:
        """Opens the next component; False where it is not what is asked for."""
        status = os.stat(name, dir_fd=path[-1], follow_symlinks=False)
        if how == inspect.OPEN_FILE and not stat.S_ISREG(status.st_mode):  # opening a FIFO or a device does something
            return False
        path.append(os.open(name, how, dir_fd=path[-1]))
        needed = stat.S_IROTH if how == inspect.OPEN_FILE else stat.S_IXOTH
        return not public or bool(os.fstat(path[-1]).st_mode & needed)

    @staticmethod
    def _link(folder: int, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=folder)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            raise


def _reversed_names(path: str) -> list[str]:
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _close(path: list[int], count: int) -> None:
    """Closes the last `count` descriptors of a path."""
    for _ in range(count):
        os.close(path.pop())
