"""A log that is written and rotated in every way there is, one step at a time."""

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final


class Writer:
    """Writes numbered lines to `path`, through one descriptor that only rotation changes, like a server does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115

    def write(self, count: int = 1) -> None:
        for _ in range(count):
            line = f"{len(self.lines):09d} a line that says nothing more"
            self.lines.append(line)
            self._file.write(line.encode() + b"\n")

    def reopen(self) -> None:
        self._file.close()
        self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115

    def close(self) -> None:
        self._file.close()


KEPT: Final = 20
"""Rotated files that are kept: who looks more seldom than they come and go cannot read them."""


def _shift(path: Path, suffix: str = "") -> None:
    for number in range(KEPT, 0, -1):
        old = path.with_name(f"{path.name}.{number}{suffix}")
        if old.exists():
            if number == KEPT:
                old.unlink()
            else:
                old.rename(path.with_name(f"{path.name}.{number + 1}{suffix}"))


def rename(writer: Writer) -> Iterator[None]:
    """logrotate's `create`: renamed, made anew, and only then the writer is told."""
    path = writer.path
    _shift(path)
    path.rename(path.with_name(f"{path.name}.1"))
    yield
    writer.write()  # into the renamed file: it was not told yet
    yield
    writer.reopen()


def copytruncate(writer: Writer) -> Iterator[None]:
    path = writer.path
    _shift(path)
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    # What were written here is in neither file: the loss that copytruncate itself has.
    os.truncate(path, 0)
    yield


def gzipped(writer: Writer) -> Iterator[None]:
    """`compress` without `delaycompress`: the renamed file is gzipped at once, and goes."""
    path = writer.path
    _shift(path, ".gz")
    plain = path.with_name(f"{path.name}.1")
    path.rename(plain)
    writer.reopen()
    yield
    temporary = path.with_name(f"{path.name}.1.gz")
    with open(plain, "rb") as source, gzip.open(temporary, "wb") as target:
        shutil.copyfileobj(source, target)
    yield
    plain.unlink()
    yield


def copytruncate_gzipped(writer: Writer) -> Iterator[None]:
    path = writer.path
    _shift(path, ".gz")
    plain = path.with_name(f"{path.name}.1")
    shutil.copyfile(path, plain)
    os.truncate(path, 0)
    yield
    with open(plain, "rb") as source, gzip.open(f"{plain}.gz", "wb") as target:
        shutil.copyfileobj(source, target)
    plain.unlink()
    yield


def deleted(writer: Writer) -> Iterator[None]:
    """Somebody deletes the file; the server writes on into it until it is told."""
    writer.path.unlink()
    yield
    writer.write()
    yield
    writer.reopen()


KINDS: dict[str, Callable[[Writer], Iterator[None]]] = {
    "rename": rename,
    "copytruncate": copytruncate,
    "gzip": gzipped,
    "copytruncate-gzip": copytruncate_gzipped,
    "delete": deleted,
}
