"""What a form of the report is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rich.console import Console

from drift_collector.fleet.model import Fleet

Write: TypeAlias = Callable[[Fleet, Console, int, bool], None]
"""Writes a fleet to a console, whose `file` may be a terminal, a pipe or a file in memory. `now` is Unix ns; the last
argument says that everything was asked for where the form would leave out what is well."""


@dataclass(frozen=True, slots=True)
class Format:
    """One form, by the name that `--format` gives it."""

    name: str
    write: Write
