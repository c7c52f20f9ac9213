"""Kernel parameters as configured: what `sysctl --system` would set, by sysctl.d(5).

A `sysctl` is a parameter (dots between its parts; a glob stays a glob) with its `value`.
"""

from typing import Final

from drift_agent.image.facts.base import Context, Fact, Gathered, gathered, names_in, read_text
from drift_agent.model import Attributes

FOLDERS: Final = ("/etc/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
"""From the one whose file of a name wins to the one that yields."""

LAST: Final = "/etc/sysctl.conf"

_SWAPPED: Final = str.maketrans("/.", "./")


def gather(context: Context) -> Gathered | None:
    """One item a parameter, with the value that is set last; None where nothing is configured."""
    unreadable: dict[str, str] = {}
    files: dict[str, str] = {}
    for folder in FOLDERS:
        for name in names_in(context, folder, unreadable):
            if name.endswith(".conf"):
                files.setdefault(name, f"{folder}/{name}")
    found: dict[str, Attributes] = {}
    for key in [*(files[name] for name in sorted(files)), LAST]:
        for name, value in assignments(read_text(context, key, unreadable) or ""):
            found[name] = {"value": value}
    return gathered("sysctl", found, unreadable) if found or unreadable else None


def assignments(text: str) -> list[tuple[str, str]]:
    """The parameters that a file sets, in order; spaces within a value are one, as the kernel shows them."""
    found = []
    for line in text.split("\n"):
        stripped = line.strip()
        name, separator, value = stripped.partition("=")
        name = name.strip().removeprefix("-").strip()
        if separator and name and stripped[0] not in "#;":
            found.append((dotted(name), " ".join(value.split())))
    return found


def dotted(name: str) -> str:
    """A parameter's name with dots between its parts; a part that holds a dot itself has a slash there.

    The first separator tells which of the two forms of sysctl(8) it is: `net.ipv4.conf.eth0/1.forwarding`, or
    `net/ipv4/conf/eth0.1/forwarding`.
    """
    first = next((character for character in name if character in "./"), ".")
    return name.translate(_SWAPPED) if first == "/" else name


def path_of(name: str) -> str:
    """A parameter's file below `/proc/sys`, by its name in either form."""
    return dotted(name).translate(_SWAPPED)


FACT: Final = Fact("sysctl", (*FOLDERS, LAST), gather)
