"""Kernel parameters as they are against those that the baked configuration sets."""

import os
import re
from typing import Final

from drift_agent.drift.runtime.fact import Fact, Observation, is_container, read_text
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Decision
from drift_agent.model import Change, Unreadable

KIND: Final = "running_sysctl"
"""Not `sysctl`: that is the kind of what is configured."""

UNRULED: Final = Decision(why="no rule names it, so it must be as the image configures it, where that does")

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_.:-]+)+")

_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
_OCTAL: Final = re.compile(r"0[0-7]{1,21}")


def gather(manifest: Manifest, proc: str) -> Observation | None:
    """Every baked parameter that is set otherwise; one that this kernel does not have is none, nor one without a value.

    None where the image configures none, and in a container, whose kernel is set by its host.
    """
    if is_container():
        return None
    changes, unreadable, found = [], [], False
    for item in manifest.of_kind("sysctl"):
        wanted = item.attributes.get("value")
        if not isinstance(wanted, str) or not _NAME.fullmatch(item.key) or ".." in item.key:
            continue
        found = True
        path = _path(proc, item.key)
        try:
            actual = _normal(read_text(path, 64 << 10))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if not _is_only_written(path):
                unreadable.append(Unreadable(KIND, item.key, error.strerror or "cannot be read"))
            continue
        if actual != _normal(wanted):
            changes.append(
                Change(
                    KIND,
                    item.key,
                    "modified",
                    UNRULED.path_class,
                    UNRULED.severity,
                    {"value": wanted},
                    {"value": actual},
                )
            )
    return Observation(changes, unreadable) if found else None


def _is_only_written(path: str) -> bool:
    """Whether nobody may read it: a command to the kernel (`net.ipv4.route.flush`), which has no value."""
    try:
        return not os.stat(path).st_mode & 0o444
    except OSError:
        return False


def _path(proc: str, name: str) -> str:
    """The parameter's file. The first separator tells which of the two forms of sysctl(8) a name has:

    `net.ipv4.ip_forward`, or `net/ipv4/conf/eth0.1/forwarding` where a part of it holds a dot.
    """
    first = min((name.find(separator) for separator in "./" if separator in name), default=0)
    form = name if name[first] == "/" else name.translate(str.maketrans("./", "/."))
    return os.path.join(proc, "sys", form)


def _normal(value: str) -> str:
    """Numbers as the kernel shows them, whatever their base; any blanks between them are one."""
    return " ".join(_decimal(part) for part in value.split())


def _decimal(part: str) -> str:
    if _HEX.fullmatch(part):
        return str(int(part, 16))
    return str(int(part, 8)) if _OCTAL.fullmatch(part) else part


SYSCTLS: Final = Fact(KIND, "sysctl", gather, UNRULED)
