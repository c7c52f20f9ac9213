"""Installed packages, from an rpm database, through the machine's own `rpm`.

rpm is given a copy of the database. A query by root writes beside the database that it reads, which would change the
very tree that is looked at; and rpm would follow the tree's links out of it.
"""

import errno
import os
from typing import Final

from drift_agent.image.facts.base import Context, names_in
from drift_agent.image.inspect import reason
from drift_agent.model import Attributes

FOLDERS: Final = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
"""Where distributions keep the database; where one is a link to the other, the first counts."""

MAX_DATABASE_BYTES: Final = 1 << 30

_DATABASES: Final = ("rpmdb.sqlite", "Packages.db", "Packages")
"""Of SQLite, of ndb, of Berkeley DB: in the order in which rpm would look for them."""

_BESIDE: Final = {"rpmdb.sqlite": ("rpmdb.sqlite-wal",), "Packages.db": ("Index.db",), "Packages": ()}
_FORMAT: Final = r"%{NAME}\t%{ARCH}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n"


def packages(context: Context, unreadable: dict[str, str]) -> dict[str, Attributes] | None:
    """The packages by `name:architecture`; None where the tree has no rpm database.

    Of a name that is installed several times (kernels) `version` lists all versions, sorted, separated by spaces. So
    it does for `gpg-pubkey:none`: the keys that rpm trusts are kept like packages.
    """
    for folder in FOLDERS:
        names = names_in(context, folder, unreadable)
        for name in _DATABASES:
            if name in names:
                return _packages(context, folder, name, unreadable)
    return None


def _packages(context: Context, folder: str, name: str, unreadable: dict[str, str]) -> dict[str, Attributes]:
    database = f"{folder}/{name}"
    try:
        return parse(_query(context, folder, name))
    except OSError as error:
        unreadable[database] = reason(error)
    except ValueError as error:
        unreadable[database] = str(error)
    return {}


def _query(context: Context, folder: str, name: str) -> bytes:
    import tempfile  # here, as `command.run` has its own: few machines have an rpm

    with tempfile.TemporaryDirectory(prefix="driftline-rpm-") as copy:
        for each in (*_BESIDE[name], name):  # a log that is written back meanwhile must not be missed
            with open(os.path.join(copy, each), "wb") as file:
                found = context.files.copy(f"{folder}/{each}", file, MAX_DATABASE_BYTES)
            if not found:
                os.unlink(file.name)
        if not os.path.exists(os.path.join(copy, name)):
            raise OSError(errno.EINVAL, "is no regular file")
        try:
            return context.run(["rpm", "--dbpath", copy, "--query", "--all", "--queryformat", _FORMAT])
        except FileNotFoundError:
            raise OSError(errno.ENOENT, "is an rpm database, and this machine has no rpm to read it") from None


def parse(output: bytes) -> dict[str, Attributes]:
    """The packages in what rpm printed.

    Raises:
        ValueError: a line has another form.
    """
    versions: dict[str, list[str]] = {}
    for line in output.decode("utf-8", "surrogateescape").split("\n"):
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != 3 or not fields[0]:
            raise ValueError("rpm named a package in a form that is not understood")
        name, architecture, version = fields
        architecture = "none" if architecture == "(none)" else architecture
        versions.setdefault(f"{name}:{architecture}", []).append(version)
    return {key: {"version": " ".join(sorted(of)), "state": "installed"} for key, of in versions.items()}
