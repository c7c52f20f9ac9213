"""What stands between the lines of a section and its points."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from drift_agent.logs.lines import Chunk
from drift_agent.model import Point

MAX_SERIES: Final = 1000
OTHER: Final = "other"
MAX_TEXT: Final = 16 << 10
"""Characters of a string field; some engines refuse strings from 64 KiB on, and escaping can quadruple one."""

NextStamp: TypeAlias = Callable[[], int]


@dataclass(slots=True)
class Counts:
    """What was counted of one section since start; the fields of `internal_logs`."""

    lines: int = 0
    unparsed: int = 0
    cut: int = 0
    folded: int = 0
    dropped: int = 0


class Handler(Protocol):
    """One format. `feed` takes records as they come; `points` gives what they make, and begins anew."""

    def feed(self, chunk: Chunk, now_ns: int) -> None: ...

    def points(self, now_ns: int) -> list[Point]: ...


class SeriesLimit:
    """At most `MAX_SERIES` series of a section: what comes beyond them is folded into one."""

    def __init__(self, counts: Counts, limit: int = MAX_SERIES) -> None:
        self._counts = counts
        self._limit = limit
        self._known: set[tuple[str, ...]] = set()

    def admit(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """The same key, or one of `other` everywhere."""
        if key in self._known:
            return key
        if len(self._known) < self._limit:
            self._known.add(key)
            return key
        self._counts.folded += 1
        return (OTHER,) * len(key)


def text_of(data: bytes) -> str:
    """A record as text; bytes that are not UTF-8 are surrogates, which the encoder ships as `\\xNN`."""
    return data[: MAX_TEXT * 4].decode("utf-8", "surrogateescape")[:MAX_TEXT]
