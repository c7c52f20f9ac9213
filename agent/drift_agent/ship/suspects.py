"""Which lines are to blame when a body is refused: groups of lines, halved until the lone guilty ones stand there.

Nothing is condemned without evidence. Evidence against a group is that something else was acknowledged since it
failed last: a server that refuses everything is misconfigured or ill, and its refusals say nothing about a line.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from drift_agent.model import Lane
from drift_agent.ship.batch import Batch


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines of one batch; `lines` is None for all of them."""

    batch: Batch
    lines: tuple[bytes, ...] | None = None

    def split(self) -> tuple[bytes, ...]:
        return tuple(self.batch.split()) if self.lines is None else self.lines


@dataclass(slots=True, eq=False)
class Group:
    """Lines of one lane that leave in one body."""

    pieces: tuple[Piece, ...]
    tried: bool = False
    """Whether it has failed since it was made."""
    mark: int = 0
    """How many acknowledgements there were when it failed last, or was made."""
    failures: int = 0
    """How often it failed while others passed."""

    @property
    def lane(self) -> Lane:
        return self.pieces[0].batch.lane

    @property
    def count(self) -> int:
        """How many lines."""
        return sum(piece.batch.lines if piece.lines is None else len(piece.lines) for piece in self.pieces)

    def batches(self) -> list[Batch]:
        return [piece.batch for piece in self.pieces]

    def lines(self) -> list[bytes]:
        """In the order of the body, without newlines."""
        return [line for piece in self.pieces for line in piece.split()]

    def body(self) -> list[bytes]:
        """What is sent, in parts: a megabyte is not copied once more to be compressed."""
        return [piece.batch.body if piece.lines is None else b"\n".join(piece.lines) + b"\n" for piece in self.pieces]

    def without(self, bad: Collection[bytes]) -> "Group | None":
        """The same without these lines; None where nothing is left."""
        kept = ((piece.batch, tuple(line for line in piece.split() if line not in bad)) for piece in self.pieces)
        pieces = tuple(Piece(batch, lines) for batch, lines in kept if lines)
        return Group(pieces, mark=self.mark) if pieces else None

    def halves(self, mark: int) -> "list[Group]":
        """Two groups: of half the batches, or of half the lines of the only one."""
        if len(self.pieces) > 1:
            middle = len(self.pieces) // 2
            return [Group(self.pieces[:middle], mark=mark), Group(self.pieces[middle:], mark=mark)]
        lines, batch = self.pieces[0].split(), self.pieces[0].batch
        middle = len(lines) // 2
        return [Group((Piece(batch, part),), mark=mark) for part in (lines[:middle], lines[middle:]) if part]


def whole(batches: Iterable[Batch]) -> Group:
    """All lines of these batches."""
    return Group(tuple(Piece(batch) for batch in batches))


@dataclass(slots=True)
class Suspects:
    """Groups that are looked into. The ids of their batches are in `ids`: nobody else must send or acknowledge them."""

    groups: list[Group] = field(default_factory=list)
    ids: dict[int, int] = field(default_factory=dict)
    """How many pieces of each batch are still open."""

    def add(self, groups: Iterable[Group]) -> None:
        for group in groups:
            self.groups.append(group)
            for piece in group.pieces:
                self.ids[piece.batch.id] = self.ids.get(piece.batch.id, 0) + 1

    def remove(self, group: Group) -> list[Batch]:
        """Takes `group` out; returns the batches of which nothing is open any more."""
        self.groups.remove(group)
        done = []
        for piece in group.pieces:
            self.ids[piece.batch.id] -= 1
            if not self.ids[piece.batch.id]:
                del self.ids[piece.batch.id]
                done.append(piece.batch)
        return done

    def replace(self, group: Group, parts: Iterable[Group]) -> list[Batch]:
        """`parts` in the place of `group`; returns the batches that are in none of them and closed now."""
        self.add(parts)
        return self.remove(group)

    def ready(self, acks: int) -> Group | None:
        """One that was not tried yet, else one against which there is evidence: trying it leads on."""
        fresh = next((group for group in reversed(self.groups) if not group.tried), None)
        return fresh or next((group for group in self.groups if acks > group.mark), None)

    def next_in_turn(self) -> Group | None:
        """The one that waited longest, for where nothing else is left to send; it goes to the end."""
        if not self.groups:
            return None
        self.groups.append(self.groups.pop(0))
        return self.groups[-1]
