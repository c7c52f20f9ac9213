"""Loaded kernel modules against the module files of the image: one that has none was brought along."""

import os
from typing import Final

from drift_agent.drift.runtime.fact import Fact, Observation, read_text
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Decision
from drift_agent.model import Change, Unreadable

KIND: Final = "module"
UNRULED: Final = Decision(severity="high", why="no rule names it, so its file must be one of the image's")


def gather(manifest: Manifest, proc: str) -> Observation | None:
    """Every loaded module without a file below `/usr/lib/modules/RELEASE` of the image.

    None where the image has no modules for the running kernel (a container, a kernel of the host's).
    """
    try:
        release = read_text(os.path.join(proc, "sys/kernel/osrelease")).strip()
        if not os.path.exists(os.path.join(proc, "sys/kernel/modules_disabled")):
            return None  # a kernel without modules
        loaded = read_text(os.path.join(proc, "modules"))
    except OSError as error:
        return Observation([], [Unreadable(KIND, "/proc/modules", error.strerror or "cannot be read")])
    known = _known(manifest, release)
    if not known:
        return None
    names = [line.split(" ", 1)[0] for line in loaded.splitlines() if line]
    foreign = [name for name in names if name not in known]
    changes = [
        Change(KIND, name, "added", UNRULED.path_class, UNRULED.severity, actual={"loaded": True}) for name in foreign
    ]
    return Observation(changes, [])


def _known(manifest: Manifest, release: str) -> set[str]:
    """Names of the modules that the image has files of; the kernel writes `-` as `_`."""
    known = set()
    for folder in ("/usr/lib/modules", "/lib/modules"):
        for line in manifest.lines_below(f"{folder}/{release}"):
            name, dot, ending = os.path.basename(manifest.parse(line).key).partition(".ko")
            if dot and ending in ("", ".xz", ".zst", ".gz"):
                known.add(name.replace("-", "_"))
    return known


MODULES: Final = Fact(KIND, "file", gather, UNRULED)
