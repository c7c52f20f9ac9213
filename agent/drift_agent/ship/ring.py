"""What waits in memory while the spool's file cannot be written: bounded, what matters least goes first. Not locked."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from drift_agent.model import LANES, Lane
from drift_agent.ship.batch import Batch

MAX_RING_BYTES: Final = 4 << 20


@dataclass(slots=True)
class _Held:
    batch: Batch
    owed: set[str]


class Ring:
    """Batches in the order of their arrival, each with the outputs that are still owed it."""

    def __init__(self, max_bytes: int = MAX_RING_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._last_id = 0
        self._held: dict[int, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def put(self, batch: Batch, outputs: Collection[str]) -> list[tuple[Batch, set[str]]]:
        """Keeps `batch` under an id of the ring's own (below 0).

        Returns what had to go for it: the oldest of the lowest lane, with who was still owed it.
        """
        self._last_id -= 1
        self._held[self._last_id] = _Held(replace(batch, id=self._last_id), set(outputs))
        self._bytes += len(batch.body)
        dropped = []
        while self._bytes > self._max_bytes:
            held = self._held[self._first_to_go()]
            self.forget(held.batch.id)
            dropped.append((held.batch, held.owed))
        return dropped

    def _first_to_go(self) -> int:
        return max(self._held, key=lambda id_: (LANES.index(self._held[id_].batch.lane), id_))

    def newest_first(self, output: str, lane: Lane) -> Iterator[Batch]:
        """What `output` is still owed of `lane`."""
        for held in reversed(list(self._held.values())):
            if held.batch.lane == lane and output in held.owed:
                yield held.batch

    def ack(self, output: str, id_: int) -> None:
        """`output` is owed it no longer; nothing happens for a batch that is not held."""
        held = self._held.get(id_)
        if held is not None:
            held.owed.discard(output)
            if not held.owed:
                self.forget(id_)

    def all(self) -> list[tuple[Batch, set[str]]]:
        """Everything, oldest first."""
        return [(held.batch, held.owed) for held in self._held.values()]

    def forget(self, id_: int) -> None:
        """Lets a batch go, whoever is owed it: it is kept elsewhere now, or dropped."""
        self._bytes -= len(self._held.pop(id_).batch.body)
