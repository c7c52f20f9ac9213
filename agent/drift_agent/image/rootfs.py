"""Reading single files of a root tree. Links are followed as the machine itself would: within the root alone."""

import errno
import os
import stat
from typing import Final, Self

from drift_agent.errors import InputError
from drift_agent.image import inspect

MAX_FILE_BYTES: Final = 64 << 20
MAX_LINKS: Final = 40

_MISSING: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))


class RootFiles:
    """Small files of the tree at `root`, by their keys (paths that begin with `/`)."""

    def __init__(self, root: str) -> None:
        """
        Raises:
            InputError: the root cannot be opened.
        """
        try:
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(f"{root}: cannot be opened as a root folder: {error.strerror}") from None

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
        if descriptor is None:
            return None
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = file.read(limit + 1)
        if len(content) > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), key)
        return content

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

    def exists(self, key: str) -> bool:
        """Whether anything stands at `key`, links of the last component not followed."""
        parent, _, name = key.rpartition("/")
        try:
            folder = self._open(parent or "/", inspect.OPEN_DIR)
        except OSError:
            return False
        if folder is None:
            return False
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return False
        else:
            return True
        finally:
            os.close(folder)

    def _open(self, key: str, how: int) -> int | None:
        """A descriptor; None where nothing of that sort is there."""
        waiting = [name for name in reversed(key.split("/")) if name not in ("", ".")]
        path: list[int] = [os.dup(self._root)]
        links = 0
        try:
            while waiting:
                name = waiting.pop()
                if name == "..":
                    if len(path) > 1:
                        os.close(path.pop())
                    continue
                target = self._link(path[-1], name)
                if target is not None:
                    links += 1
                    if links > MAX_LINKS:
                        return None
                    if target.startswith("/"):
                        while len(path) > 1:
                            os.close(path.pop())
                    waiting.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
                    continue
                if not waiting and how == inspect.OPEN_FILE and not self._is_file(path[-1], name):
                    return None
                path.append(os.open(name, inspect.OPEN_DIR if waiting else how, dir_fd=path[-1]))
            return os.dup(path[-1])
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise
        finally:
            for descriptor in path:
                os.close(descriptor)

    @staticmethod
    def _is_file(folder: int, name: str) -> bool:
        """Whether it may be opened: opening a FIFO or a device does something."""
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)

    @staticmethod
    def _link(folder: int, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=folder)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            raise
