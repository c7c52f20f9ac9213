"""Following files: no line is lost and none is given twice, whatever rotation does."""

import random
from pathlib import Path

import pytest

import rotation
from drift_agent.logs.tail import Tail


class Reader:
    """A tail and what it gave, with a clock of its own; `crash` goes back to what was kept last."""

    def __init__(self, pattern: str | Path, **options: object) -> None:
        self.pattern = str(pattern)
        self.options = options
        self.now = 0.0
        self.lines: list[str] = []
        self.kept: tuple[bytes | None, int] = (None, 0)
        self.tail = Tail(self.pattern, **options)  # type: ignore[arg-type]

    def poll(self) -> list[str]:
        """New lines; what was given is kept, as the spool's transaction does."""
        self.now += 1
        new = [line.decode() for chunk in self.tail.poll(self.now) for _, line in chunk.records()]
        self.lines += new
        self.kept = (self.tail.state(), len(self.lines))
        return new

    def drain(self) -> None:
        self.poll()
        while self.tail.more:
            self.poll()

    def crash(self) -> None:
        """kill -9 between reading and the transaction: what was read is read again, by a new process."""
        self.tail.poll(self.now)
        self.tail.close()
        state, count = self.kept
        del self.lines[count:]
        self.tail = Tail(self.pattern, restored=state, **self.options)  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", ["access.log", "access.log*"])
@pytest.mark.parametrize("kind", rotation.KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_rotation_at_any_moment_loses_and_repeats_nothing(tmp_path: Path, kind: str, pattern: str, seed: int) -> None:
    """Polls, and restarts after kill -9, come at random between the steps of 30 rotations."""
    chance = random.Random(seed)
    writer = rotation.Writer(tmp_path / "access.log")
    reader = Reader(tmp_path / pattern)
    reader.poll()

    def anything() -> None:
        writer.write(chance.randrange(1, 40))
        for _ in range(chance.randrange(3)):
            reader.poll()
            # Who is dead while a file is deleted cannot read it any more.
            if kind != "delete" and chance.random() < 0.2:
                reader.crash()
        if kind == "delete":
            reader.poll()

    for _ in range(30):
        anything()
        for _ in rotation.KINDS[kind](writer):
            anything()
        # A poll may miss a rotation, not five of them: then even the rotated file is gone.
        reader.poll()
    writer.close()
    reader.drain()
    assert sorted(reader.lines) == writer.lines
