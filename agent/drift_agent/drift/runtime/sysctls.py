"""Kernel parameters as they are against those that the baked configuration sets."""

import os
import re
from collections.abc import Iterable, Iterator
from typing import Final

from drift_agent.drift.runtime.fact import Fact, Observation, is_container, read_text
from drift_agent.image.facts.sysctl import path_of
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Decision
from drift_agent.model import Change, Unreadable

KIND: Final = "running_sysctl"
"""Not `sysctl`: that is the kind of what is configured."""

UNRULED: Final = Decision(why="no rule names it, so it must be as the image configures it, where that does")

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_.:-]+)+")

_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
_OCTAL: Final = re.compile(r"0[0-7]{1,21}")


PROGRAMS: Final = {
    "kernel.core_pattern": ("core",),
    "kernel.hotplug": ("", "/sbin/hotplug"),
    "kernel.modprobe": ("/sbin/modprobe", "/usr/sbin/modprobe"),
    "kernel.poweroff_cmd": ("/sbin/poweroff",),
}
"""What the kernel runs as root, by path: where the image does not configure it, what stood at the seal. Behind each are
the kernel's own values, which stand after a boot until a service sets another: with one of them it is not there."""


def gather(manifest: Manifest, proc: str) -> Observation | None:
    """Every baked parameter that is set otherwise, and the `PROGRAMS` that the image leaves to first boot.

    One that this kernel does not have is none, nor one without a value. None where none of them is there, and in a
    container, whose kernel is set by its host.
    """
    if is_container():
        return None
    wanted = dict(_baked(manifest))
    running, unreadable = _running([*wanted, *(name for name in PROGRAMS if name not in wanted)], proc)
    changes = []
    for name, actual in running.items():
        if name not in wanted:
            if actual not in PROGRAMS[name]:
                changes.append(Change(KIND, name, "added", "sealed", "high", {}, {"value": actual}))
        elif actual != _normal(wanted[name]):
            difference = {"value": wanted[name]}, {"value": actual}
            changes.append(Change(KIND, name, "modified", UNRULED.path_class, UNRULED.severity, *difference))
    return Observation(changes, unreadable) if wanted or running else None


def _baked(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Names and values that can be asked for."""
    for item in manifest.of_kind("sysctl"):
        value = item.attributes.get("value")
        if isinstance(value, str) and _NAME.fullmatch(item.key) and ".." not in item.key:
            yield item.key, value


def _running(names: Iterable[str], proc: str) -> tuple[dict[str, str], list[Unreadable]]:
    """The values of those that there are."""
    running, unreadable = {}, []
    for name in names:
        path = os.path.join(proc, "sys", path_of(name))
        try:
            running[name] = _normal(read_text(path, 64 << 10))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if not _is_only_written(path):
                unreadable.append(Unreadable(KIND, name, error.strerror or "cannot be read"))
    return running, unreadable


def _is_only_written(path: str) -> bool:
    """Whether nobody may read it: a command to the kernel (`net.ipv4.route.flush`), which has no value."""
    try:
        return not os.stat(path).st_mode & 0o444
    except OSError:
        return False


def _normal(value: str) -> str:
    """Numbers as the kernel shows them, whatever their base; any blanks between them are one."""
    return " ".join(_decimal(part) for part in value.split())


def _decimal(part: str) -> str:
    if _HEX.fullmatch(part):
        return str(int(part, 16))
    return str(int(part, 8)) if _OCTAL.fullmatch(part) else part


SYSCTLS: Final = Fact(KIND, "sysctl", gather, UNRULED)
