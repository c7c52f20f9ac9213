"""Hashing large files beside the walk, in a thread: they are read and hashed without the interpreter's lock."""

from collections import deque
from threading import Condition, Thread
from typing import Final, Self

from drift_agent.image import inspect
from drift_agent.image.ticket import Ticket

MIN_BYTES: Final = 64 << 10
MAX_OUTSTANDING: Final = 32
"""Large files that wait; beyond it the walk hashes for itself."""


class Hasher:
    """Use it as a context manager, from one thread. `pace` is told what is read, as `inspect.Pace` says.

    An `alone` one takes nothing, and the walk reads everything itself: on one processor, and not on two.
    """

    def __init__(self, pace: inspect.Pace | None = None, *, alone: bool = False) -> None:
        self.alone = alone
        self._pace = pace
        self._live: set[Ticket] = set()
        self._condition = Condition()
        self._waiting: deque[Ticket] = deque()
        self._outstanding = 0
        self._closed = False
        self._buffer = bytearray(inspect.BLOCK)
        self._thread = Thread(target=self._work, name="hasher", daemon=True)
        if not alone:
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread, within a block; what nobody asked for any more is not hashed to its end."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        if not self.alone:
            self._thread.join()
        for ticket in self._live:
            ticket.close()
        self._live.clear()

    def submit(self, descriptor: int, size: int, wanted: frozenset[str]) -> Ticket | None:
        """Takes an open file of `size` bytes; None, and it stays the caller's, where it is small or too many wait."""
        if size < MIN_BYTES or self.alone:
            return None
        with self._condition:
            if self._outstanding >= MAX_OUTSTANDING:
                return None
            ticket = Ticket(descriptor, size, wanted)
            self._live.add(ticket)
            self._waiting.append(ticket)
            self._outstanding += 1
            self._condition.notify_all()
            return ticket

    def result(self, ticket: Ticket) -> str:
        """The hex SHA-256; the ticket's `attributes` are there then too. Hashes the file where nobody has begun yet.

        Raises:
            OSError: the file could not be read.
            ReadStoppedError: `pace` said so.
        """
        self._live.discard(ticket)
        self._await(ticket)
        if ticket.error is not None:
            raise ticket.error
        return ticket.digest

    def _await(self, ticket: Ticket) -> None:
        with self._condition:
            mine = not ticket.taken
            if mine:
                ticket.taken = True
                self._waiting.remove(ticket)
            while not mine and not ticket.done:
                self._condition.wait()
        if mine:
            self._hash(ticket, self._buffer, self._pace)

    def _work(self) -> None:
        buffer = bytearray(inspect.BLOCK)
        while True:
            with self._condition:
                while not self._waiting and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
                ticket = self._waiting.popleft()
                ticket.taken = True
            self._hash(ticket, buffer, self._pace_of_thread)

    def _pace_of_thread(self, count: int) -> None:
        if self._closed:
            raise inspect.ReadStoppedError
        if self._pace is not None:
            self._pace(count)

    def _hash(self, ticket: Ticket, buffer: bytearray, pace: inspect.Pace | None) -> None:
        ticket.hash_here(buffer, pace)
        with self._condition:
            self._outstanding -= 1
            self._condition.notify_all()
