"""The agent's folder: made when it is missing, and held by one agent at a time."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from drift_agent.errors import ConfigError, LockHeldError


class StateDir:
    """Holds the lock of a state folder while it is open.

    The lock is the kernel's (flock): it goes with the process, however that ends.

    Raises:
        ConfigError: the folder cannot be made or written.
        LockHeldError: another agent runs on it.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = f"{error.strerror}; give a folder that this user may write as agent.state_dir"
            raise ConfigError(f"{path}: the state folder cannot be used: {reason}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise LockHeldError(
                f"{path}: another agent runs on this state folder; stop it, or give this one its own"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._descriptor)
