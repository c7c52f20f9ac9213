"""A section's files, polled by hand, with a clock of their own."""

from pathlib import Path

from drift_agent.logs.tail import Tail


class TailReader:
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
