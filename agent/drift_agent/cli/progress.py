"""What a person sees of a scan that takes a while, and how ctrl-C ends it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Event
from typing import Final, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from drift_agent.image.inspect import Pace, ReadStoppedError
from drift_agent.image.scan import Progress
from drift_agent.signals import calling_on_signals

REDRAW_SECONDS: Final = 0.1


class Watched(NamedTuple):
    """What a scan is to call: with how many items it looked at, and with the bytes of each block it read."""

    progress: Progress
    pace: Pace


@contextmanager
def watched(what: str, total: int | None) -> Iterator[Watched]:
    """Shows a bar on standard error where that is a terminal, and ends the scan on SIGINT and SIGTERM.

    The signal itself raises nothing: it would between any two steps, and a file could be closed twice. What the scan
    calls raises, where nothing is half done.

    Raises:
        KeyboardInterrupt: such a signal came.
    """
    stop = Event()

    def go_on(_: int) -> None:
        if stop.is_set():
            raise ReadStoppedError

    with calling_on_signals(stop.set), _bar(what, total) as draw:

        def progress(count: int) -> None:
            go_on(count)
            draw(count)

        try:
            yield Watched(progress, go_on)
        except ReadStoppedError:
            stop.set()
    if stop.is_set():
        raise KeyboardInterrupt


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Draws how many items were looked at; nothing where nobody would see it."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} items"))
    bar = Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=total)
    drawn = 0.0

    def draw(count: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - drawn >= REDRAW_SECONDS:
            drawn = now
            bar.update(task, completed=count)

    with bar if sys.stderr.isatty() else nullcontext():
        yield draw
