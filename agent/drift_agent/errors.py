"""Every error that a user can meet, each with its exit code.

    DriftlineError                 1   a tool's or a server's failure
    ├── InputError                 1   a file or an answer that is not what it must be
    │   └── ManifestError          1
    ├── ConfigError               64   usage or configuration
    ├── StoreError                 1   a store that is down, refuses, or answers nonsense
    ├── IncompleteError            3   could run, but not see everything
    └── LockHeldError              6   somebody else is at work here

The message is one sentence that says what was wrong, where, and what to do. Exit codes stand here and in
`EXIT_CODES` alone; help texts and docs are made from that table.
"""

from typing import ClassVar, Final

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_RECYCLE: Final = 2
EXIT_HOLD: Final = 3
EXIT_HALFWAY: Final = 4
EXIT_REFUSED: Final = 5
EXIT_LOCKED: Final = 6
EXIT_USAGE: Final = 64
EXIT_INTERRUPTED: Final = 130

EXIT_CODES: Final[dict[int, str]] = {
    EXIT_OK: "all clean, and coverage above the floor",
    EXIT_FAILED: "could not run: a tool's or a server's failure, malformed input",
    EXIT_RECYCLE: "something is in a state that is recycled, or differs (beats 3)",
    EXIT_HOLD: "something is held: unreadable, a bad signature, incomplete, nothing found",
    EXIT_HALFWAY: "reserved: recycling stopped half-way, and can be resumed",
    EXIT_REFUSED: "reserved: recycling was refused by a rail",
    EXIT_LOCKED: "the lock is held by another process",
    EXIT_USAGE: "usage or configuration",
    EXIT_INTERRUPTED: "interrupted",
}


class DriftlineError(Exception):
    """Base of all errors that end a command. `exit_code` is what the process returns."""

    exit_code: ClassVar[int] = EXIT_FAILED


class InputError(DriftlineError):
    """A file, a body or an answer is malformed."""


class ManifestError(InputError):
    """A manifest that cannot be believed: malformed, cut short, out of order, of an unknown version."""


class ConfigError(DriftlineError):
    """A mistake in usage or configuration; the message names file, key and what is allowed."""

    exit_code = EXIT_USAGE


class StoreError(DriftlineError):
    """A store that is down, refuses us, or answers nonsense."""


class IncompleteError(DriftlineError):
    """The command ran, but could not see everything that it must see for a verdict."""

    exit_code = EXIT_HOLD


class LockHeldError(DriftlineError):
    """Another process holds the lock."""

    exit_code = EXIT_LOCKED
