"""Facts of the running machine, one file each. Adding one: a file, a line in `FACTS`, a test.

They are never in a manifest or its digest. Mounts are compared by the scan itself, which must not enter them.
"""

import os
from typing import Final

from drift_agent.drift.runtime.fact import Fact, Observation
from drift_agent.drift.runtime.modules import MODULES
from drift_agent.drift.runtime.sockets import SOCKETS
from drift_agent.drift.runtime.sysctls import SYSCTLS
from drift_agent.image.manifest import Manifest
from drift_agent.model import Unreadable

FACTS: Final[tuple[Fact, ...]] = (MODULES, SOCKETS, SYSCTLS)

KINDS: Final = frozenset(fact.kind for fact in FACTS)


def gather(manifest: Manifest, proc: str = "/proc") -> Observation:
    """All facts that have a meaning for this image, in the order of `FACTS`."""
    wanted = [fact for fact in FACTS if fact.companion in manifest.header.policy.kinds]
    if not os.path.isdir(os.path.join(proc, "sys/kernel")):
        # No Linux; or a sandbox that hides all but processes, and what is hidden must not look like what is not there.
        hidden = os.path.isdir(os.path.join(proc, "self"))
        return Observation(
            [], [Unreadable(fact.kind, "/proc/sys", "is hidden from the agent") for fact in wanted if hidden]
        )
    everything = Observation([], [])
    for fact in wanted:
        observed = fact.gather(manifest, proc)
        if observed is not None:
            everything.changes.extend(observed.changes)
            everything.unreadable.extend(observed.unreadable)
    return everything
