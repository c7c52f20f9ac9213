"""What the spool's rows are: batches, bundles of encoded lines of one lane. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drift_agent.model import Lane

MAX_BATCH_LINES: Final = 5_000
MAX_BATCH_BYTES: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Batch:
    """Some lines of one lane that were put at the same time.

    `body` is UTF-8, each line with its newline. `made` is when it was put, `oldest` and `newest` are the times of its
    points (all Unix ns). Ids grow with the time of the put and are never used twice; they are negative in memory, where
    one that reaches the file after all gets another: an acknowledgement of the old one then comes to nothing, and the
    batch is sent twice, which does no harm.
    """

    id: int
    lane: Lane
    lines: int
    made: int
    oldest: int
    newest: int
    body: bytes

    def split(self) -> list[bytes]:
        """Its lines, without newlines."""
        return self.body.split(b"\n")[:-1]


def into_batches(lane: Lane, lines: Sequence[str], made: int, max_bytes: int = MAX_BATCH_BYTES) -> Iterator[Batch]:
    """Batches (id 0) of `lines`, in order, of at most `MAX_BATCH_LINES` and `max_bytes`; a longer line stands alone."""
    body = ("\n".join(lines) + "\n").encode()
    if len(lines) <= MAX_BATCH_LINES and len(body) <= max_bytes:
        yield _batch(lane, lines, made, body)
        return
    start, size = 0, 0
    for index, line in enumerate(lines):
        length = len(line.encode()) + 1
        if index > start and (size + length > max_bytes or index - start == MAX_BATCH_LINES):
            yield _batch(lane, lines[start:index], made)
            start, size = index, 0
        size += length
    yield _batch(lane, lines[start:], made)


def _batch(lane: Lane, lines: Sequence[str], made: int, body: bytes | None = None) -> Batch:
    times = {_time(stamp, made) for stamp in {line[line.rfind(" ") + 1 :] for line in lines}}
    body = ("\n".join(lines) + "\n").encode() if body is None else body
    return Batch(0, lane, len(lines), made, min(times), max(times), body)


def _time(stamp: str, default: int) -> int:
    return int(stamp) if stamp.removeprefix("-").isdecimal() else default
