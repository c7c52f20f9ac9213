"""Listening sockets with their owner, as sock_diag(7) tells anybody: what stood at the seal may stand, nothing else.

A change's class is `sealed`, so that the seal takes the standing ones in. A port of the ephemeral range differs after
each boot: such sockets are told apart by their unit instead; unconnected UDP there is only somebody asking.
"""

import os
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drift_agent.drift.runtime.fact import Fact, Observation, is_container, read_text
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Decision
from drift_agent.model import AttributeValue, Change, Unreadable

KIND: Final = "socket"
UNRULED: Final = Decision("sealed", severity="high", why="no rule names it, so it must have stood at the seal")

CGROUPS: Final = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
"""Where control groups of version 2 may be mounted; those of version 1 know nothing of sockets."""

MAX_CGROUPS: Final = 20_000

_SOCK_DIAG: Final = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY: Final = 20  # SOCK_DIAG_BY_FAMILY
_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_CGROUP_ID: Final = 21  # INET_DIAG_CGROUP_ID
_TCP_LISTEN: Final = 1 << 10
_UDP_UNCONNECTED: Final = 1 << 7

_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBBBI48x")
_ANSWER: Final = struct.Struct("=BBBB2s2s16s16sIIIIIIII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_VARYING: Final = re.compile(r"(?<=-)\d+(?=\.scope)|[0-9a-f]{12,}")


@dataclass(frozen=True, slots=True)
class Listener:
    """One socket that takes what comes.

    `unit` is empty where it belongs to none, None where its control group cannot be seen from here.
    """

    protocol: str
    address: str
    port: int
    uid: int
    unit: str | None


def gather(_: Manifest, proc: str) -> Observation | None:
    """Every listening socket of the network namespace that the agent is in.

    A container may share it with its host: there only sockets of control groups that it can see are its own, where it
    can see any (a file system of version 2).
    """
    top = next((path for path in CGROUPS if os.path.exists(os.path.join(path, "cgroup.controllers"))), None)
    shared = top is not None and is_container()
    try:
        lowest = int(read_text(os.path.join(proc, "sys/net/ipv4/ip_local_port_range")).split()[0])
        units = _units(top) if top is not None else {}
        changes = {}
        for listener in listeners(units):
            change = _change(listener, lowest)
            if change is not None and not (shared and listener.unit is None):
                changes[change.key] = change
    except (OSError, ValueError, IndexError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return Observation([], [Unreadable(KIND, "listening", reason or "cannot be read")])
    return Observation(list(changes.values()), [])


def _change(listener: Listener, lowest_ephemeral: int) -> Change | None:
    where = f"[{listener.address}]" if ":" in listener.address else listener.address
    port = str(listener.port)
    if listener.port >= lowest_ephemeral:
        if listener.protocol == "udp":
            return None
        port = f"ephemeral {listener.unit or ''}".rstrip()
    attributes: dict[str, AttributeValue] = {"uid": listener.uid}
    if listener.unit:
        attributes["unit"] = listener.unit
    return Change(
        KIND, f"{listener.protocol} {where}:{port}", "added", UNRULED.path_class, UNRULED.severity, actual=attributes
    )


def listeners(units: dict[int, str]) -> Iterator[Listener]:
    """Asks the kernel; `units` are the systemd units by the id of their control group.

    Raises:
        OSError: it does not answer.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as netlink:
        netlink.settimeout(5.0)
        for family in (socket.AF_INET, socket.AF_INET6):
            for protocol, number, states in (
                ("tcp", socket.IPPROTO_TCP, _TCP_LISTEN),
                ("udp", socket.IPPROTO_UDP, _UDP_UNCONNECTED),
            ):
                request = _REQUEST.pack(family, number, 0, 0, states)
                netlink.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, 1, 0) + request)
                for answer in _answers(netlink):
                    yield _listener(protocol, answer, units)


def _answers(netlink: socket.socket) -> Iterator[bytes]:
    """The messages of one dump, without their headers."""
    while True:
        data = netlink.recv(256 << 10)
        position = 0
        while position + _HEADER.size <= len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, position)
            if kind == _DONE:
                return
            if kind == _ERROR:
                code = -struct.unpack_from("=i", data, position + _HEADER.size)[0]
                if code == 2:  # this kernel has no such family
                    return
                raise OSError(code, os.strerror(code))
            if length < _HEADER.size + _ANSWER.size:
                raise OSError(5, "a malformed answer of sock_diag")
            yield data[position + _HEADER.size : position + length]
            position += (length + 3) & ~3


def _listener(protocol: str, answer: bytes, units: dict[int, str]) -> Listener:
    values = _ANSWER.unpack_from(answer)
    family, port, raw, uid = values[0], values[4], values[6], values[14]
    address = socket.inet_ntop(family, raw[:4] if family == socket.AF_INET else raw)
    unit: str | None = None
    position = _ANSWER.size
    while position + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, position)
        if length < _ATTRIBUTE.size:
            break
        if kind == _CGROUP_ID and length == _ATTRIBUTE.size + 8:
            unit = units.get(struct.unpack_from("=Q", answer, position + _ATTRIBUTE.size)[0])
        position += (length + 3) & ~3
    return Listener(protocol, address, int.from_bytes(port, "big"), uid, unit)


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
