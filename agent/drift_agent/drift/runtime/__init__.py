"""Facts of the running machine, one file each. Adding one: a file, a line in `FACTS`, a test.

They are never in a manifest or its digest. Mounts are compared by the scan itself, which must not enter them.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from drift_agent.drift.runtime.fact import Fact, Observation
from drift_agent.drift.runtime.modules import MODULES
from drift_agent.drift.runtime.sockets import SOCKETS
from drift_agent.drift.runtime.sysctls import SYSCTLS
from drift_agent.image.globs import NO_RULE
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy
from drift_agent.model import Change, Unreadable

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
    policy = manifest.header.policy
    changes: list[Change] = []
    unreadable: list[Unreadable] = []
    for fact in wanted:
        observed = fact.gather(manifest, proc)
        if observed is not None:
            changes += _ruled(observed.changes, policy)
            unreadable += [one for one in observed.unreadable if not _is_ignored(one, policy)]
    return Observation(changes, unreadable)


def _ruled(changes: Iterable[Change], policy: Policy) -> Iterator[Change]:
    """What the policy does not ignore, with class and severity of the rule that names it, where one does."""
    for change in changes:
        decision = policy.decide(change.key, change.kind)
        if decision.rule == NO_RULE:
            yield change
        elif decision.path_class != "ignored":
            yield replace(change, path_class=decision.path_class, severity=decision.severity)


def _is_ignored(one: Unreadable, policy: Policy) -> bool:
    """Whether a rule says that nobody asks for it, and so not whether it can be read either."""
    return policy.decide(one.key, one.kind).path_class == "ignored"
