"""Which image this is, and which instance of it.

The stamp that was baked into the manifest is the image's name; what a cloud says is only used for the instance. Every
source is hostile until it has the shape of a name: at most 128 printable characters without blanks.
"""

import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drift_agent.config import Config
from drift_agent.image.manifest import Manifest
from drift_agent.imds import Fetch, Session, fetch_link_local

APPLICATION_ID: Final = bytes.fromhex("d41f7115e0f24bd58f0a3c7c6a1b9e24")
"""Ours for ever: it makes the hash of a machine-id differ from that of any other application."""

UNKNOWN_IMAGE: Final = "unknown"
MAX_INSTANCE_DATA_BYTES: Final = 4 << 20
RETRY_SECONDS: Final = 1.0
PLACEHOLDER_HOSTNAMES: Final = frozenset({"", "localhost", "localhost.localdomain", "(none)"})

_NAME: Final = re.compile(r"[!-~]{1,128}")
_EC2_ID: Final = re.compile(r"i-[0-9a-f]{8,32}")
_MACHINE_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks. All are valid, non-empty tag values, but `boot_id` and `cloud_id`, which may be empty.

    `cloud_id` is the id that the cloud gave, whatever `instance` was configured to: state belongs to it.
    """

    instance: str
    host: str
    image: str
    group: str
    boot_id: str
    machine: str = ""
    cloud_id: str = ""


def resolve(
    config: Config,
    stamp: str = "",
    baked_hostname: str = "",
    fetch: Fetch = fetch_link_local,
    root: str = "/",
    deadline: float | None = None,
    *,
    hostname: str | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> Identity:
    """Who this machine is. Never raises, and never blocks past `deadline` (`monotonic` seconds; 5 s from now).

    `stamp` is the manifest's (empty when it cannot be opened), `baked_hostname` the name that every instance of the
    image would have: it tells nobody apart, so `host` then is the instance.
    """
    until = monotonic() + 5.0 if deadline is None else deadline
    machine = machine_identity(root)
    cloud_id = _cloud_init_instance(root) or _metadata_instance(root, fetch, until, monotonic, wait)
    name = hostname if hostname is not None else os.uname().nodename
    own_name = name if _NAME.fullmatch(name) and name not in PLACEHOLDER_HOSTNAMES else ""
    instance = config.agent.instance or cloud_id or machine or own_name or "unknown"
    host = config.agent.host or (own_name if own_name != baked_hostname else "") or instance
    return Identity(
        instance=instance,
        host=host,
        image=stamp or UNKNOWN_IMAGE,
        group=config.agent.group or "default",
        boot_id=read_boot_id(),
        machine=machine,
        cloud_id=cloud_id,
    )


def machine_identity(root: str = "/") -> str:
    """An id of this machine that says nothing of its machine-id; empty where that is missing or not initialised."""
    for path in dict.fromkeys((os.path.join(root, "etc/machine-id"), "/etc/machine-id")):
        text = _read_text(path, 64)
        if text is not None and _MACHINE_ID.fullmatch(text.strip()) and set(text.strip()) != {"0"}:
            return application_specific(bytes.fromhex(text.strip()))
    return ""


def application_specific(machine_id: bytes, application: bytes = APPLICATION_ID) -> str:
    """`sd_id128_get_machine_app_specific(3)`: HMAC-SHA256 of the application under the id, cut to a version 4 UUID."""
    digest = bytearray(hmac.digest(machine_id, application, "sha256")[:16])
    digest[6] = digest[6] & 0x0F | 0x40
    digest[8] = digest[8] & 0x3F | 0x80
    return digest.hex()


def read_boot_id() -> str:
    """The kernel's id of this boot; empty where it has none (not Linux)."""
    return (_read_text("/proc/sys/kernel/random/boot_id", 64) or "").strip()


def _cloud_init_instance(root: str) -> str:
    """`v1.instance_id` of cloud-init's world-readable instance data, on every cloud alike."""
    text = _read_text(os.path.join(root, "run/cloud-init/instance-data.json"), MAX_INSTANCE_DATA_BYTES)
    if text is None:
        return ""
    try:
        value = json.loads(text)["v1"]["instance_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""


def _metadata_instance(
    root: str, fetch: Fetch, deadline: float, monotonic: Callable[[], float], wait: Callable[[float], None]
) -> str:
    """The instance id on EC2: as the hypervisor wrote it (Nitro), else by IMDSv2, asked until the network is up.

    Asked only where the firmware says EC2: elsewhere the address may hang, or lie.
    """
    if not is_ec2(root):
        return ""
    tag = (_read_text(os.path.join(root, "sys/class/dmi/id/board_asset_tag"), 256) or "").strip()
    if _EC2_ID.fullmatch(tag):
        return tag
    while True:
        value = Session(fetch, deadline, monotonic).get("meta-data/instance-id")
        if value is not None and _NAME.fullmatch(value):
            return value
        left = deadline - monotonic()
        if left <= RETRY_SECONDS:
            return ""
        wait(RETRY_SECONDS)


def is_ec2(root: str = "/") -> bool:
    """Whether the firmware's vendor is Amazon EC2 (on Xen its BIOS version says so)."""
    vendor = _read_text(os.path.join(root, "sys/class/dmi/id/sys_vendor"), 256) or ""
    bios = _read_text(os.path.join(root, "sys/class/dmi/id/bios_version"), 256) or ""
    return vendor.strip() == "Amazon EC2" or "amazon" in bios.lower()


def is_baked_hostname(manifest: Manifest, name: str) -> bool:
    """Whether `name` is what the image's own `/etc/hostname` says: then it tells no two instances apart."""
    item = manifest.find("file", "/etc/hostname")
    baked = item.attributes.get("sha256") if item is not None else None
    return baked in {hashlib.sha256(text.encode(errors="replace")).hexdigest() for text in (name, name + "\n")}


def _read_text(path: str, limit: int) -> str | None:
    """At most `limit` characters of a small file; None when it cannot be read, is longer, or no UTF-8."""
    try:
        # Without O_NONBLOCK a FIFO of that name would hold the agent for ever.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            raw = file.read(limit + 1) or b""
        return raw.decode() if len(raw) <= limit else None
    except (OSError, UnicodeDecodeError):
        return None
