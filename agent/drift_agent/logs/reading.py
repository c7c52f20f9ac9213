"""What is new in one file that is followed: whole records, from where it was read up to.

Names and rotations are `tail`'s; here a file is its content, and how long it has been silent.
"""

import re
from collections.abc import Iterator
from typing import Final

from drift_agent.logs.content import HEAD_BYTES, Content, GzipContent, Mark, is_gzip, open_content
from drift_agent.logs.followed import Followed, tail_of
from drift_agent.logs.lines import Chunk, take_whole

BLOCK_BYTES: Final = 256 << 10
DELETED_IDLE: Final = 60.0
"""s without a new line after which a deleted file is let go."""
LOST_AGE: Final = 3600.0
"""s for which the rest of a content that vanished is looked for under other names."""
MULTILINE_WAIT: Final = 5.0
"""s without a new line after which the last record of several lines is whole."""


class Reading:
    """Reads on in the files of one section."""

    def __init__(self, multiline: re.Pattern[bytes] | None) -> None:
        """`multiline` finds the first line of a record, where records are of several."""
        self._multiline = multiline
        self.cut = 0
        """Lines that were cut since start."""

    def read(self, file: Followed, monotonic: float, budget: int) -> Iterator[Chunk]:
        """Whole records that were not given before, at most about `budget` bytes.

        A file that will hardly grow is let go, and may be `forgotten` then.

        Raises:
            OSError: it cannot be read, or is not there any more.
        """
        if file.content is None:
            if not file.listed or (file.size <= file.offset and not is_gzip(file.path)):
                return
            file.content = open_content(file.path, file.key)
        content = file.content
        size = content.size()
        if size != file.seen_size:
            file.seen_size, file.grew_at = size, monotonic
        idle = monotonic - file.grew_at
        gone = not file.listed and idle > DELETED_IDLE and not content.linked()
        while budget > 0:
            block = content.read(file.offset, BLOCK_BYTES)
            full = len(block) == BLOCK_BYTES
            last = not full and (gone or isinstance(content, GzipContent))
            whole = not full and idle > MULTILINE_WAIT
            cut = take_whole(
                block, skipping=file.skipping, last=last, start=None if whole else self._multiline, full=full
            )
            if cut.taken == 0:
                break
            offset = file.offset
            _advance(file, content, cut.taken)
            file.skipping = cut.skipping
            self.cut += cut.cut
            if cut.data.strip(b"\0\n"):
                budget -= len(cut.data)
                yield Chunk(cut.data, offset + cut.taken - len(cut.data), file.ordinal, file.log, self._multiline)
        else:
            return
        _let_go(file, content, idle)


def _advance(file: Followed, content: Content, taken: int) -> None:
    file.offset += taken
    if file.head.length < min(HEAD_BYTES, file.offset):
        file.head = Mark.of(content.read(0, min(HEAD_BYTES, file.offset)))
    file.tail = tail_of(content, file.offset)


def _let_go(file: Followed, content: Content, idle: float) -> None:
    """What will hardly grow is not held open: a descriptor holds a deleted file's space."""
    if isinstance(content, GzipContent):
        file.close()
        file.role = "done"
    elif not file.listed and idle > (DELETED_IDLE if not content.linked() else LOST_AGE):
        file.close()
        file.forgotten = True
    elif file.listed and idle > LOST_AGE:
        file.close()
