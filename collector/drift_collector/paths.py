"""Where an operator's machine keeps what is ours: the XDG folders."""

from collections.abc import Mapping
from pathlib import Path


def data_home(environ: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/driftline`: what is worth keeping (the store, the baked manifest)."""
    return _folder(environ, "XDG_DATA_HOME", ".local/share")


def state_home(environ: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/driftline`: what a program remembers (spool, logs)."""
    return _folder(environ, "XDG_STATE_HOME", ".local/state")


def _folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    # The XDG specification: a relative path is to be ignored.
    named = environ.get(variable, "")
    base = Path(named) if named.startswith("/") else Path(environ.get("HOME") or Path.home()) / below_home
    return base / "driftline"
