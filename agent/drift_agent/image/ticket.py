"""A large file on its way through whoever hashes it."""

import os

from drift_agent.image import inspect
from drift_agent.model import AttributeValue


class Ticket:
    """An open file of `size` bytes that is to be hashed. It belongs to the hasher, which closes it when it is `done`.

    Then there is its `digest` (hex SHA-256), and what of flags and xattrs is `wanted`; or the error.
    """

    __slots__ = ("attributes", "descriptor", "digest", "done", "error", "size", "taken", "wanted")

    def __init__(self, descriptor: int, size: int, wanted: frozenset[str]) -> None:
        self.descriptor = descriptor
        self.size = size
        self.wanted = wanted
        self.taken = False
        """Somebody is at it."""
        self.done = False
        self.digest = ""
        self.attributes: dict[str, AttributeValue] = {}
        self.error: OSError | inspect.ReadStoppedError | None = None

    def hash_here(self, buffer: bytearray, pace: inspect.Pace | None) -> None:
        """Hashes it in this thread."""
        try:
            self.digest = inspect.digest(self.descriptor, self.size, buffer, pace)[1]
            self.attributes = inspect.extended(self.descriptor, self.wanted)
        except (OSError, inspect.ReadStoppedError) as error:
            self.error = error
        self.close()

    def close(self) -> None:
        """Gives the file back."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        self.done = True
