"""One content that a section follows: where it lies, up to where it was read, and how it is known again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from drift_agent.logs.content import TAIL_BYTES, Content, GzipContent, Mark

Role = Literal["read", "done", "copy", "ignored"]
"""Being read; read to an end that is final (a gzipped file); the same as another; from before the first start."""


@dataclass(slots=True, eq=False)
class Followed:
    """One content that is known: where it lies by now, and up to where it was read.

    `listed`: its inode was in the last listing. `lost`: it has not been since `lost_at` (monotonic s), and its rest may
    turn up elsewhere. `forgotten`: nothing of it is to come any more.
    """

    path: str
    log: str
    device: int
    inode: int
    ordinal: int
    role: Role = "read"
    offset: int = 0
    head: Mark = field(default_factory=Mark)
    tail: Mark = field(default_factory=Mark)
    skipping: bool = False
    content: Content | None = None
    size: int = -1
    mtime_ns: int = -1
    listed: bool = True
    lost: bool = False
    lost_at: float = 0.0
    forgotten: bool = False
    seen_size: int = -1
    grew_at: float = 0.0

    @property
    def key(self) -> tuple[int, int]:
        return self.device, self.inode

    def to_json(self) -> list[Any]:
        return [
            self.path, self.log, self.device, self.inode, self.ordinal, self.role, self.offset, self.head.length,
            self.head.digest, self.tail.length, self.tail.digest, self.skipping,
        ]  # fmt: skip

    @classmethod
    def from_json(cls, row: Sequence[Any]) -> "Followed":
        path, log, device, inode, ordinal, role, offset, head_length, head, tail_length, tail, skipping = row
        return cls(
            path, log, device, inode, ordinal, role, offset, Mark(head_length, head), Mark(tail_length, tail), skipping
        )

    def close(self) -> None:
        if self.content is not None:
            self.content.close()
            self.content = None


def tail_of(content: Content, offset: int) -> Mark:
    """The bytes before `offset`."""
    if isinstance(content, GzipContent):
        return Mark()  # going back in it means to decompress it anew; its end is near
    at = max(0, offset - TAIL_BYTES)
    return Mark.of(content.read(at, offset - at))
