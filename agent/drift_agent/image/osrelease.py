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
_ACCOUNT: Final = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
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


def default_user(cloud_cfg: str) -> tuple[str, tuple[str, ...]]:
    """Name and groups of the account that cloud-init makes, from a cloud.cfg; without a name where it names none.

    Reads just `name:` and `groups:` of `system_info: default_user:`; the file is YAML, and of that form in every
    distribution.
    """
    above = -1
    found = {"name": "", "groups": ""}
    for line in cloud_cfg.splitlines():
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if not text or text.startswith("#"):
            continue
        if above >= 0 and indent <= above:  # the block ends
            break
        key, _, value = text.partition(":")
        if above < 0 and indent and key == "default_user":
            above = indent
        elif above >= 0 and key in found:
            found[key] = value.partition(" #")[0]
    names, groups = (tuple(filter(_ACCOUNT.fullmatch, re.split(r"[][\s,\"']+", found[key]))) for key in found)
    return (names[0], groups) if len(names) == 1 else ("", ())


def account_rules(root: str) -> tuple[Rule, ...]:
    """The rules of the account that cloud-init makes in this tree.

    It and its group are sealed, and so are those of its groups that the tree has not: cloud-init makes them.
    """
    name, groups = default_user(read_text(root, "/etc/cloud/cloud.cfg") or "")
    if not name:
        return ()
    there = {line.partition(":")[0] for line in (read_text(root, "/etc/group") or "").splitlines()}
    why = "the account that cloud-init makes, by the image's cloud.cfg"
    sealed = [("user", name), ("group", name), *(("group", group) for group in groups if group not in {*there, name})]
    return tuple(Rule(key, "sealed", severity="high", why=why, layer=CLOUD_INIT, kind=kind) for kind, key in sealed)


def hostname(root: str) -> str:
    """The hostname that stands in the tree; empty where there is none, or nothing that could be one."""
    name = (read_text(root, "/etc/hostname") or "").strip()
    return name if re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name) else ""
