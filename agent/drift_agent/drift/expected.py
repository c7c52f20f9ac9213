"""What a manifest expects, as the other side of a merge."""

from collections.abc import Iterator

from drift_agent.image.canonical import order
from drift_agent.image.manifest import MAX_LINE_BYTES, Manifest
from drift_agent.model import Item

Place = tuple[str, bytes]
"""Where an item stands, as `canonical.order` says."""


class Expected:
    """A cursor over lines of a manifest that are parsed only when somebody asks; `line` is empty at the end."""

    def __init__(self, manifest: Manifest, blocks: Iterator[bytes], number: int = 0) -> None:
        """`blocks` hold whole lines together; `number` is the first one's, 0 where it is not known."""
        self._manifest = manifest
        self._blocks = blocks
        self._buffer = b""
        self._position = 0
        self._number = number - 1 if number else 0
        self._last: tuple[str, str] | None = None
        self._parsed: tuple[Item, Place] | None = None
        self.line = b""
        self._next()

    def pass_file(self, key: str) -> None:
        """Goes on from the line of the file `key`, which nobody had to parse."""
        self._last = ("file", key)
        self._parsed = None
        self._next()

    def pass_run(self, lines: bytes, count: int) -> bool:
        """Goes on behind these `count` lines, if just they are what comes next."""
        begin = self._position - len(self.line)
        while len(self._buffer) - begin < len(lines):
            block = next(self._blocks, b"")
            if not block:
                return False
            self._buffer = self._buffer[begin:] + block
            self._position -= begin
            begin = 0
        if not self._buffer.startswith(lines, begin):
            return False
        self._position = begin + len(lines)
        self._number += count - 1 if self._number else 0
        self._last = self._parsed = None
        self._next()
        return True

    def take(self) -> Item:
        """The item of the current line; goes on to the next.

        Raises:
            ManifestError: it is none, or out of order.
        """
        item, _ = self._parse()
        self._last = (item.kind, item.key)
        self._parsed = None
        self._next()
        return item

    def finish(self) -> None:
        """Makes sure that nothing is left.

        Raises:
            ManifestError: a line is left that belongs to no kind of the policy, or stands out of order.
        """
        if self.line:
            raise self._manifest.fault(self._number, f"holds a {self._parse()[0].kind} out of order")

    def place(self) -> Place:
        """Where the current line stands.

        Raises:
            ManifestError: as `take`.
        """
        return self._parse()[1]

    def _next(self) -> None:
        number = self._number + 1 if self._number else 0
        end = self._buffer.find(b"\n", self._position) + 1
        while not end:
            block = next(self._blocks, b"")
            rest = self._buffer[self._position :]
            if not block:
                if rest:
                    raise self._manifest.fault(number, "has no end: the manifest was cut short")
                self.line = b""
                return
            if len(rest) > MAX_LINE_BYTES:
                raise self._manifest.fault(number, "is longer than 1 MiB")
            self._buffer, self._position = rest + block, 0
            end = self._buffer.find(b"\n") + 1
        self.line = self._buffer[self._position : end]
        self._position = end
        self._number = number

    def _parse(self) -> tuple[Item, Place]:
        if self._parsed is None:
            item = self._manifest.parse(self.line, self._number)
            place = order(item.kind, item.key)
            if self._last is not None and place <= order(*self._last):
                raise self._manifest.fault(self._number, "is out of order")
            self._parsed = item, place
        return self._parsed
