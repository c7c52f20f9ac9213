"""SIGTERM and ctrl-C, as something that a thread hears.

A handler of Python's runs in the main thread, in the midst of whatever it does there. If that is waiting on an Event,
setting the Event from the handler now and then takes a lock that the same thread already holds, for ever. The put of a
SimpleQueue is reentrant: all that the handlers do.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Final

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def calling_on_signals(act: Callable[[], object]) -> Iterator[None]:
    """While entered, SIGINT and SIGTERM call `act` (often, if they come often), in a thread of its own.

    To be entered in the main thread. What the signals did before, they do again afterwards.
    """
    heard: SimpleQueue[bool] = SimpleQueue()

    def listen() -> None:
        while heard.get():
            act()

    thread = Thread(target=listen, name="signals", daemon=True)
    thread.start()
    before = {number: signal.signal(number, lambda *_: heard.put(True)) for number in NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        heard.put(False)
        thread.join()
