"""Listening sockets with their owners: what stood at the seal may stand, nothing else.

A change's class is `sealed`, so that the seal takes the standing ones in. A port of the ephemeral range differs after
each boot: such sockets are told apart by their unit instead; unconnected UDP there is only somebody asking.
"""

import os
import re
from collections.abc import Set as AbstractSet
from typing import Final

from drift_agent.drift.runtime.fact import Fact, Observation, is_container, read_text
from drift_agent.drift.runtime.sock_diag import Listener, listeners
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Decision
from drift_agent.model import AttributeValue, Change, Unreadable

KIND: Final = "socket"
UNRULED: Final = Decision("sealed", severity="high", why="no rule names it, so it must have stood at the seal")

CGROUPS: Final = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
"""Where control groups of version 2 may be mounted; those of version 1 know nothing of sockets."""

MAX_CGROUPS: Final = 20_000

_BETWEEN: Final = " / "
"""Stands between owners: in no name of a control group there is a slash."""

_VARYING: Final = re.compile(r"(?<=-)\d+(?=\.scope)|[0-9a-f]{12,}")


Owner = tuple[int, str]
"""User id and unit; the latter is empty where it is not known, or none."""


def gather(_: Manifest, proc: str) -> Observation | None:
    """Every listening socket of the network namespace that the agent is in.

    A container may share it with its host: there only sockets of control groups that it can see are its own, where it
    can see any (a file system of version 2).
    """
    top = next((path for path in CGROUPS if os.path.exists(os.path.join(path, "cgroup.controllers"))), None)
    shared = top is not None and is_container()
    try:
        lowest = int(read_text(os.path.join(proc, "sys/net/ipv4/ip_local_port_range")).split()[0])
        found = _found(top)
    except (OSError, ValueError, IndexError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return Observation([], [Unreadable(KIND, "listening", reason or "cannot be read")])
    owners: dict[str, set[Owner]] = {}
    for listener in found:
        place = _place(listener, lowest)
        if place and not (shared and listener.unit is None):
            owners.setdefault(place, set()).add((listener.uid, listener.unit or ""))
    return Observation([_change(place, owners[place]) for place in owners], [])


def _found(top: str | None) -> list[Listener]:
    """What listens. A unit that was started anew has another control group: one that is not known is looked for."""
    units = _units(top) if top is not None else {}
    found = [*listeners(units)]
    if top is not None and any(listener.unit is None for listener in found):
        found = [*listeners(units | _units(top))]
    return found


def _place(listener: Listener, lowest_ephemeral: int) -> str:
    """The key of where it listens; empty where it is only asking."""
    where = f"[{listener.address}]" if ":" in listener.address else listener.address
    port = str(listener.port)
    if listener.port >= lowest_ephemeral:
        if listener.protocol == "udp":
            return ""
        port = f"ephemeral {listener.unit or ''}".rstrip()
    return f"{listener.protocol} {where}:{port}"


def _change(place: str, owners: AbstractSet[Owner]) -> Change:
    """Several may listen at one place (SO_REUSEADDR, SO_BINDTODEVICE): each counts, whoever the kernel names first."""
    attributes: dict[str, AttributeValue]
    if len(owners) == 1:
        ((uid, unit),) = owners
        attributes = {"uid": uid, "unit": unit} if unit else {"uid": uid}
    else:
        attributes = {"owners": _BETWEEN.join(_named(*owner) for owner in sorted(owners))}
    return Change(KIND, place, "added", UNRULED.path_class, UNRULED.severity, actual=attributes)


def is_fewer(change: Change) -> bool:
    """Whether of several that listened at a place some stopped, and nobody else came."""
    before, now = change.expected.get("owners"), change.actual.get("owners")
    if change.kind != KIND or before is None:
        return False
    if now is None:
        now = _named(change.actual.get("uid"), change.actual.get("unit", ""))
    return {*str(now).split(_BETWEEN)} <= {*str(before).split(_BETWEEN)}


def _named(uid: object, unit: object) -> str:
    return f"{uid} {unit}".rstrip()


def _units(top: str) -> dict[int, str]:
    """Units by the inode of their control group, which is the group's id; parts that differ per boot are `*`."""
    units: dict[int, str] = {}
    waiting = [(top, "")]
    try:
        units[os.stat(top).st_ino] = ""
    except OSError:
        pass
    while waiting and len(units) < MAX_CGROUPS:
        path, unit = waiting.pop()
        try:
            entries = [entry for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        for entry in entries:
            is_unit = entry.name.endswith((".service", ".socket", ".scope"))
            own = _VARYING.sub("*", entry.name) if is_unit else unit
            units[entry.inode()] = own
            waiting.append((entry.path, own))
    return units


SOCKETS: Final = Fact(KIND, "service", gather, UNRULED)
