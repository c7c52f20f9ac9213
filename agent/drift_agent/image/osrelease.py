"""What a root tree says of itself: its distribution, and whether it has cloud-init."""

import os
import re
import shlex
from typing import Final

from drift_agent.errors import InputError
from drift_agent.image.policy import Rule
from drift_agent.image.policy_file import CLOUD_INIT
from drift_agent.image.rootfs import RootFiles

MAX_BYTES: Final = 1 << 20

_PROFILES: Final = {"debian": "debian", "ubuntu": "ubuntu", "amzn": "amazon-linux"}
_CLOUD_INIT_FILES: Final = ("/usr/bin/cloud-init", "/etc/cloud/cloud.cfg")


def read_text(root: str, key: str) -> str | None:
    """A small text file of the tree; None where it is missing, cannot be read, or is over 1 MiB."""
    try:
        with RootFiles(root) as files:
            content = files.read(key, MAX_BYTES)
    except (InputError, OSError):
        return None
    return None if content is None else content.decode("utf-8", "replace")


def parse_os_release(text: str) -> dict[str, str]:
    """`id`, `version_id` and `pretty_name` of an os-release(5), as far as they are there."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and name in ("ID", "VERSION_ID", "PRETTY_NAME"):
            try:
                found[name.lower()] = "".join(shlex.split(value))[:200]
            except ValueError:
                continue
    return found


def os_release(root: str) -> dict[str, str]:
    """What the tree's os-release says; empty where it has none."""
    text = read_text(root, "/etc/os-release") or read_text(root, "/usr/lib/os-release")
    return parse_os_release(text) if text else {}


def profile_of(root: str) -> str:
    """The profile that fits the tree; `generic` where none does."""
    return _PROFILES.get(os_release(root).get("id", ""), "generic")


def layers_of(root: str) -> tuple[str, ...]:
    """The layers that the tree needs: `cloud-init` where it is installed."""
    return (CLOUD_INIT,) if any(os.path.lexists(root.rstrip("/") + path) for path in _CLOUD_INIT_FILES) else ()


def default_user(cloud_cfg: str) -> str:
    """The name of the account that cloud-init makes, from a cloud.cfg; empty where it names none.

    Reads just `system_info: default_user: name:`; the file is YAML, and of that form in every distribution.
    """
    above = -1
    for line in cloud_cfg.splitlines():
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if not text or text.startswith("#"):
            continue
        if above >= 0 and indent <= above:  # the block ends, and has no name
            return ""
        key, _, value = text.partition(":")
        if above < 0 and indent and key == "default_user":
            above = indent
        elif above >= 0 and key == "name":
            name = value.partition(" #")[0].strip().strip("\"'")
            return name if re.fullmatch(r"[a-z_][a-z0-9_.-]{0,31}", name) else ""
    return ""


def account_rules(root: str) -> tuple[Rule, ...]:
    """The rules of the account that cloud-init makes in this tree: it and its group are sealed."""
    text = read_text(root, "/etc/cloud/cloud.cfg")
    name = default_user(text) if text else ""
    why = "the account that cloud-init makes, by the image's cloud.cfg"
    return tuple(
        Rule(name, "sealed", severity="high", why=why, layer=CLOUD_INIT, kind=kind)
        for kind in ("user", "group")
        if name
    )


def hostname(root: str) -> str:
    """The hostname that stands in the tree; empty where there is none, or nothing that could be one."""
    name = (read_text(root, "/etc/hostname") or "").strip()
    return name if re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name) else ""
