"""Who is or was logged in, as records of utmp(5), of logind and of the databases of logins hold it. Pure, and wary.

A login comes from an address, from the session manager, or from the console, which is everything local: terminals,
serial lines, displays. One login has one source, whichever record tells of it.
"""

import ipaddress
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drift_agent.units import SECOND

LOGIN: Final = "login"
"""The kind of an item that is a login."""

USER_PROCESS: Final = 7
"""`ut_type` of somebody who is logged in; the others are gettys, boots and ends."""

CONSOLE: Final = "console"


@dataclass(frozen=True, slots=True)
class Login:
    """Who came (`user`), from where (`source`: an address, a name, `console`…), how (`via`), when (Unix ns)."""

    user: str
    source: str
    via: str
    at: int


# ------------------------------------------------------------------------------------- services and sources

LOCAL_SERVICES: Final = ("login", "lightdm", "sddm", "xdm")
"""PAM services of logins at the machine itself; and every `gdm-…`."""

NAMED_SERVICES: Final = ("remote", "cockpit", "xrdp-sesman")
"""PAM services of logins over a network, whose messages do not say from where: the service stands for it."""

_SERVICES: Final = frozenset({"sshd", *LOCAL_SERVICES, *NAMED_SERVICES})


def is_login_service(service: str) -> bool:
    """Whether a PAM service lets people in; su, sudo, cron and the managers of users do not."""
    return service in _SERVICES or service.startswith("gdm-")


def address_of(text: str) -> str | None:
    """An IP address in the one form that every source of it has; None where the text is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


_NO_TERMINAL: Final = ("ftpd", "vsftpd", "ppp", "smb/")
"""Lines of programs that count their own sessions in utmp, which are no logins to the machine."""

NO_ADDRESS: Final = "UNKNOWN"
"""What sshd says of who came through a socket of this machine, or of its hypervisor: as local as a serial line."""

_WINDOW: Final = re.compile(r"tmux\(\d+\)\.%\d+|.*:S\.\d+")
"""What tmux and screen write as a host: a window of somebody who has come in already."""


def source_of(host: str, line: str) -> str | None:
    """Where the one at a line (`pts/0`, `tty1`) came from; None where the record tells of no login.

    No line at all is a service that runs under PAM's rules for logins (`PAMName=login`).
    """
    host = host.partition(" via mosh ")[0]
    if _WINDOW.fullmatch(host) or not line or line.startswith(_NO_TERMINAL):
        return None
    address = address_of(host)
    if address is None and (host in ("", NO_ADDRESS) or host.startswith(":")):  # the last is a display of this machine
        return CONSOLE
    return address or host


# --------------------------------------------------------------------------------------------- utmp, wtmp

_SHORT: Final = struct.Struct("=h2xi32s4s32s256s4siii16s20s")
_LONG: Final = struct.Struct("=h2xi32s4s32s256s4sqqq16s20s4x")
"""Where `time_t` was 64 bits wide from the beginning (arm64, riscv64) the record is of 400 bytes, else of 384."""


def record_size(machine: str) -> int:
    """Bytes of a record on a machine (`os.uname().machine`)."""
    return _layout(machine).size


def parse_utmp(data: bytes, machine: str) -> Iterator[Login]:
    """The logins among whole records; what is left at the end is not looked at."""
    layout = _layout(machine)
    for position in range(0, len(data) - layout.size + 1, layout.size):
        kind, _, line, _, user, host, _, _, seconds, microseconds, address, _ = layout.unpack_from(data, position)
        name, place = _text(user), _text(line)
        if kind != USER_PROCESS or not name:
            continue
        source = source_of(_text(host), place)
        if source is not None:
            if source != CONSOLE and address_of(source) is None:  # a name (`UseDNS yes`): logs have the address
                source = _address(address) or source
            yield Login(name, source, _via("", source), seconds * SECOND + microseconds * 1000)


def _layout(machine: str) -> struct.Struct:
    return _LONG if machine.startswith(("aarch64", "arm64", "riscv64", "loongarch64")) else _SHORT


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def _address(raw: bytes) -> str | None:
    """`ut_addr_v6`: an IPv4 address fills only the first of its four words."""
    if not any(raw):
        return None
    return str(ipaddress.ip_address(raw[:4])) if not any(raw[4:]) else address_of(str(ipaddress.ip_address(raw)))


def _via(service: str, source: str) -> str:
    if service == "sshd":
        return "ssh"
    return "console" if source == CONSOLE else service or "terminal"


# ------------------------------------------------------------------------------- logind, wtmpdb, lastlog2


def parse_session(text: str) -> Login | None:
    """The login that a file of `/run/systemd/sessions` tells of: systemd-logind's own record of who is there now."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    service = fields.get("SERVICE", "")
    if not is_login_service(service) or not fields.get("CLASS", "").startswith("user"):  # a manager's, a greeter's…
        return None
    line = fields.get("TTY", "") or ("tty" if fields.get("VTNR") else "")
    try:
        at = int(fields.get("REALTIME", "")) * 1000
    except ValueError:
        return None
    return of_service(service, fields.get("USER", ""), fields.get("REMOTE_HOST", ""), line, at)


def of_service(service: str, user: str, host: str, line: str, at: int) -> Login | None:
    """The login that a record tells of which PAM's modules wrote; `service` is empty where sshd wrote it itself."""
    if not user or not (service == "" or is_login_service(service)):
        return None
    source = source_of(host, line or ("ssh" if service == "sshd" else ""))
    return Login(user, source, _via(service, source), at) if source is not None else None
