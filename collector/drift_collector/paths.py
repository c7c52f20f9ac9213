"""Where an operator's machine keeps what is ours: the XDG folders."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from drift_agent.errors import ConfigError

DATA: Final = "XDG_DATA_HOME"
STATE: Final = "XDG_STATE_HOME"


def data_home(environ: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/driftline`: what is worth keeping (the store, the baked manifest).

    Raises:
        ConfigError: neither that nor a home folder is known.
    """
    return _folder(environ, DATA, ".local/share")


def state_home(environ: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/driftline`: what a program remembers (spool, logs).

    Raises:
        ConfigError: neither that nor a home folder is known.
    """
    return _folder(environ, STATE, ".local/state")


def make_folder(folder: Path, variable: str) -> None:
    """Makes a folder that lies in the one of `variable`, if it is not there.

    Raises:
        ConfigError: it cannot be made, or this user may not write in it.
    """
    problem = ""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            problem = "Permission denied"
    except OSError as error:
        problem = error.strerror or str(error)
    if problem:
        raise ConfigError(
            f"{folder}: cannot be written in: {problem}; name a folder where this user may write as {variable}"
        )


def _folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    # The XDG specification: a relative path is to be ignored.
    named = environ.get(variable, "")
    base = Path(named) if named.startswith("/") else _home(environ, variable) / below_home
    return base / "driftline"


def _home(environ: Mapping[str, str], variable: str) -> Path:
    named = environ.get("HOME", "")
    if named.startswith("/"):
        return Path(named)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise ConfigError(f"this user has no home folder; name a folder where it may write as {variable}") from None
