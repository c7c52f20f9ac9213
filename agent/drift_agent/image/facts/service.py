"""Which units are enabled, from their links alone: an offline root is enough, and no systemd is asked.

A `service` is a unit of any type, by its name, with `state` (as systemctl is-enabled has it: `enabled`, `disabled`,
`static`, `masked`, `alias`) and the targets that want it.
"""

import os
from typing import Final

from drift_agent.image.facts.base import Context, Fact, Gathered, gathered, names_in
from drift_agent.image.inspect import reason
from drift_agent.model import Attributes, AttributeValue

CONFIGURED: Final = "/etc/systemd/system"
UNIT_FOLDERS: Final = (CONFIGURED, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
"""From the one that wins to the one that yields."""

_TYPES: Final = (
    ".service", ".socket", ".timer", ".path", ".mount", ".automount", ".swap", ".target", ".slice",
)  # fmt: skip
_MAX_UNIT_BYTES: Final = 1 << 20


def gather(context: Context) -> Gathered | None:
    """One item a unit; None where the tree has no systemd."""
    unreadable: dict[str, str] = {}
    units = _unit_files(context, unreadable)
    wanted = _wanted_by(context, unreadable)
    if not units and not wanted and not unreadable:
        return None
    found: dict[str, Attributes] = {}
    for name in units.keys() | wanted.keys():
        attributes: dict[str, AttributeValue] = {
            "state": _state(context, name, units.get(name), name in wanted, unreadable)
        }
        if name in wanted:
            attributes["wanted_by"] = " ".join(sorted(wanted[name]))
        found[name] = attributes
    return gathered("service", found, unreadable)


def _unit_files(context: Context, unreadable: dict[str, str]) -> dict[str, str]:
    """Unit → the folder whose file of that name counts."""
    units: dict[str, str] = {}
    for folder in UNIT_FOLDERS:
        for name in names_in(context, folder, unreadable):
            if name.endswith(_TYPES):
                units.setdefault(name, folder)
    return units


def _wanted_by(context: Context, unreadable: dict[str, str]) -> dict[str, set[str]]:
    """Unit → the units that want or require it by a link below /etc."""
    wanted: dict[str, set[str]] = {}
    for folder in names_in(context, CONFIGURED, unreadable):
        owner, separator, relation = folder.rpartition(".")
        if separator and relation in ("wants", "requires"):
            for name in names_in(context, f"{CONFIGURED}/{folder}", unreadable):
                wanted.setdefault(name, set()).add(owner)
    return wanted


def _state(context: Context, name: str, folder: str | None, wanted: bool, unreadable: dict[str, str]) -> str:
    if folder is None:  # an instance of a template, or a link to nothing
        return "enabled"
    target = context.files.target(f"{folder}/{name}")
    if target == "/dev/null":
        return "masked"
    if wanted:
        return "enabled"
    if target is not None and os.path.basename(target) != name:
        return "alias"
    try:
        text = context.files.text(f"{folder}/{name}", _MAX_UNIT_BYTES)
    except OSError as error:
        unreadable[f"{folder}/{name}"] = reason(error)
        return "static"
    if text is not None and not text:
        return "masked"
    installs = text is not None and any(line.strip() == "[Install]" for line in text.split("\n"))
    return "disabled" if installs else "static"


FACT: Final = Fact("service", UNIT_FOLDERS, gather)
