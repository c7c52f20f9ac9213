"""What a test needs from the machine, and the one way to say that it is not there.

Without it the test is skipped, with a line that names what is missing. Under `CI=true` (`tests/conftest.py`) a skip is
a failure; the exceptions are the programs that no package registry has, which the environment names.
"""

import os
import shutil
from typing import Final, NoReturn

import pytest
from _pytest.outcomes import Skipped

NAMED_BY_ENVIRONMENT: Final = {
    "INFLUXD2": "InfluxDB 2.x, the program `influxd`",
    "INFLUXD3": "InfluxDB 3 Core, the program `influxdb3`",
    "OPENGEMINI": "openGemini, the program `ts-server`",
    "TELEGRAF": "Telegraf, the program `telegraf`",
}

missing: Final[set[str]] = set()
"""The names of `NAMED_BY_ENVIRONMENT` that a test of this run asked for in vain."""


class Lacking(Skipped):
    """This machine lacks what the test needs."""


class NotNamed(Lacking):
    """The environment does not name a program of `NAMED_BY_ENVIRONMENT`: a skip in CI too."""


def named(name: str) -> str:
    """The path of a program of `NAMED_BY_ENVIRONMENT`; skips where the environment does not name it.

    A name that leads nowhere is a failure: whoever sets it wants the tests to run.
    """
    path = os.environ.get(name, "")
    if not path:
        missing.add(name)
        raise NotNamed(f"{name} is not set: it names {NAMED_BY_ENVIRONMENT[name]}")
    if not os.access(path, os.X_OK):
        pytest.fail(f"{name}={path}: not a program that can be run")
    return path


def program(name: str, package: str = "") -> str:
    """The path of a program that `scripts/test-servers` installs, or that every machine should have."""
    for folder in (*os.get_exec_path(), "/usr/sbin", "/sbin"):
        path = shutil.which(name, path=folder)
        if path:
            return path
    return absent(f"the program {name!r} (Debian's package {package or name})")


def root() -> None:
    """Skips where the test does not run as root."""
    if os.geteuid() != 0:
        absent("root")


def absent(what: str) -> NoReturn:
    """Skips: the machine lacks `what`."""
    raise Lacking(f"needs {what}")
