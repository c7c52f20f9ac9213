"""What listens, as the kernel tells anybody: sock_diag(7)."""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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
_CODE: Final = struct.Struct("=i")
_ID: Final = struct.Struct("=Q")


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
    """The messages of one dump, without their headers.

    Raises:
        OSError: the kernel refuses, or an answer is not of the form that it should have.
    """
    while True:
        data = netlink.recv(256 << 10)
        if len(data) < _HEADER.size:
            raise _malformed()
        position = 0
        while position + _HEADER.size <= len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, position)
            if kind == _DONE:
                return
            least = _HEADER.size + (_CODE.size if kind == _ERROR else _ANSWER.size)
            if length < least or position + length > len(data):
                raise _malformed()
            if kind == _ERROR:
                code = -_CODE.unpack_from(data, position + _HEADER.size)[0]
                if code == errno.ENOENT:  # this kernel has no such family
                    return
                raise OSError(code, os.strerror(code))
            yield data[position + _HEADER.size : position + length]
            position += (length + 3) & ~3


def _malformed() -> OSError:
    return OSError(errno.EIO, "a malformed answer of sock_diag")


def _listener(protocol: str, answer: bytes, units: dict[int, str]) -> Listener:
    values = _ANSWER.unpack_from(answer)
    family, port, raw, uid = values[0], values[4], values[6], values[14]
    address = socket.inet_ntop(family, raw[:4] if family == socket.AF_INET else raw)
    unit: str | None = None
    position = _ANSWER.size
    while position + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, position)
        if length < _ATTRIBUTE.size or position + length > len(answer):
            break
        if kind == _CGROUP_ID and length == _ATTRIBUTE.size + _ID.size:
            unit = units.get(_ID.unpack_from(answer, position + _ATTRIBUTE.size)[0])
        position += (length + 3) & ~3
    return Listener(protocol, address, int.from_bytes(port, "big"), uid, unit)
