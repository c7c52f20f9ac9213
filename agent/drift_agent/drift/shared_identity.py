"""Identities that should be an instance's own and were baked into its image: every instance of it has the same."""

import fnmatch
import hashlib
from collections.abc import Set as AbstractSet
from typing import Final

from drift_agent.image.manifest import Manifest
from drift_agent.image.paths import folders_above
from drift_agent.model import Change

KIND: Final = "identity"

OWN: Final = ("/etc/machine-id", "/etc/ssh/ssh_host_*_key", "/var/lib/dbus/machine-id", "/etc/krb5.keytab")
"""Files that first boot must make anew."""

_PLACEHOLDERS: Final = frozenset(hashlib.sha256(text).hexdigest() for text in (b"", b"\n", b"uninitialized\n"))


def shared_identities(manifest: Manifest, differing: AbstractSet[str]) -> list[Change]:
    """An item of kind `identity` for each such file that still is the image's.

    `differing` are the paths that are not as baked, or could not be read with what stands below. Only what the policy
    seals is asked for: an image whose policy freezes these files says that they are to be equal.
    """
    found = []
    for pattern in OWN:
        folder = pattern.rpartition("/")[0]
        for line in manifest.lines_below(folder) if "*" in pattern else [manifest.line("file", pattern)]:
            item = manifest.parse(line) if line else None
            if item is None or not fnmatch.fnmatchcase(item.key, pattern):
                continue
            is_as_baked = differing.isdisjoint([item.key, *folders_above(item.key)])
            sealed = manifest.header.policy.decide(item.key).path_class == "sealed"
            digest = item.attributes.get("sha256")
            if is_as_baked and sealed and digest is not None and digest not in _PLACEHOLDERS:
                found.append(Change(KIND, item.key, "modified", "sealed", "high", {"baked": False}, {"baked": True}))
    return found
