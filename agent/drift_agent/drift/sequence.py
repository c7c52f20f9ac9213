"""The number of the last report, kept where a full disk still takes it: overwritten in place beside `state.db`.

A number that comes twice reads as a memory that was wiped. An agent that goes on counting while `state.db` cannot be
written, and is started anew, must therefore not count from where the database stood.
"""

import os
from contextlib import suppress
from typing import Final

_WIDTH: Final = 20


class SequenceFile:
    """One number, bound to the database whose random `owner` stands beside it: without that one it says nothing.

    Its room on the disk is taken when it is made. It is a help: where it cannot be used it is as if it were not there.
    """

    def __init__(self, path: str, owner: str) -> None:
        self._path = path
        self._owner = owner
        if self._content() is None:
            with suppress(OSError):
                self._overwrite(0, os.O_CREAT | os.O_TRUNC)

    def last(self) -> int:
        """The number noted last; 0 where there is none."""
        return self._content() or 0

    def note(self, number: int) -> None:
        """On the disk when it returns, if the disk takes it."""
        with suppress(OSError):
            self._overwrite(number)

    def _overwrite(self, number: int, flags: int = 0) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
        try:
            os.pwrite(descriptor, f"{self._owner} {number:0{_WIDTH}d}\n".encode(), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _content(self) -> int | None:
        try:
            with open(self._path, encoding="ascii") as file:
                owner, _, number = file.read(200).partition(" ")
        except (OSError, UnicodeDecodeError):
            return None
        return int(number) if owner == self._owner and number.strip().isdecimal() else None
