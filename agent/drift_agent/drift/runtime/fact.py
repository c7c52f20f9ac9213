"""What a fact of the running machine is: something no image can hold, compared with what the image asks for."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import DEFAULT_DECISION, Decision
from drift_agent.model import Change, Unreadable

CHUNK_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Observation:
    """How a fact differs, and what of it could not be read."""

    changes: list[Change]
    unreadable: list[Unreadable]


@dataclass(frozen=True, slots=True)
class Fact:
    """One kind of runtime item.

    `gather(manifest, proc)` looks once, under the proc file system at `proc`; None where the fact has no meaning here.
    It is looked at where the image's policy compares `companion`, the baked kind that it belongs to. `unruled` is what
    holds for its items that no rule names.
    """

    kind: str
    companion: str
    gather: Callable[[Manifest, str], Observation | None]
    unruled: Decision = DEFAULT_DECISION


CONTAINER_MARKS: Final = ("/run/systemd/container", "/run/.containerenv", "/.dockerenv")


def is_container() -> bool:
    """Whether we run in a container: its kernel, and perhaps its network, belong to somebody else too."""
    return any(os.path.exists(path) for path in CONTAINER_MARKS)


def read_text(path: str, limit: int = 4 << 20) -> str:
    """At most `limit` bytes of a file of proc.

    Raises:
        OSError: it cannot be read.
    """
    text = b""
    with open(path, "rb", buffering=0) as file:
        # /proc/sys refuses larger reads with ENOMEM.
        while len(text) < limit and (block := file.read(CHUNK_BYTES)):
            text += block
    return text.decode("utf-8", "replace")
