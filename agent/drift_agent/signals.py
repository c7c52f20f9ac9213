"""SIGTERM and ctrl-C, as something that a thread hears.

A handler of Python's runs in the main thread, between two of its steps. While that waits on an Event, setting it from
the handler takes a lock that the same thread may hold already; and a signal that comes just before the wait begins is
handled when it ends. Both hang, once in some hundred times on a busy machine. So the signal's number goes through a
socket, written by the interpreter in the very moment, to a thread that does nothing else.
"""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Final

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def calling_on_signals(act: Callable[[], object]) -> Iterator[None]:
    """While entered, SIGINT and SIGTERM call `act` (often, if they come often), in a thread of its own.

    To be entered in the main thread. What the signals did before, they do again afterwards.
    """
    hears, says = socket.socketpair()
    says.setblocking(False)

    def listen() -> None:
        while numbers := hears.recv(64):
            if any(number in numbers for number in NUMBERS):
                act()

    thread = Thread(target=listen, name="signals", daemon=True)
    thread.start()
    before_fd = signal.set_wakeup_fd(says.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        says.close()
        thread.join()
        hears.close()
