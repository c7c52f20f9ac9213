"""The baked kinds besides files. A new one: one file here, one line below, its name in `policy.BAKED_KINDS`, a test."""

from typing import Final

from drift_agent.image.facts import group, package, service, sysctl, user
from drift_agent.image.facts.base import Context, Fact, Gathered

__all__ = ["FACTS", "Context", "Fact", "Gathered"]

FACTS: Final[tuple[Fact, ...]] = (
    group.FACT,
    package.FACT,
    service.FACT,
    sysctl.FACT,
    user.FACT,
)
"""In the order of their kinds, which is the manifest's."""
