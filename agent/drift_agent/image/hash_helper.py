"""A process beside the walk that hashes what is read in one piece; open files are passed to it, many at a time.

A process and no thread: at every call of the system two threads wait for the interpreter's lock, and small files are
nothing but such calls. Measured on two cores: 0.6 times as long as a walk that hashes for itself, a thread 0.9 times.
"""

import resource
import socket
import struct
import sys
from array import array
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drift_agent.image import hash_worker
from drift_agent.image.hash_worker import BATCH, MAX_BYTES, PLAIN, RECORD, WHOLE
from drift_agent.image.inspect import FLAG_MASK, GET_FLAGS
from drift_agent.image.ticket import Ticket

if TYPE_CHECKING:
    from subprocess import Popen

START_AFTER: Final = 500
"""Files that are asked for before it starts: a rescan that has little to hash starts no process."""

ANSWER_SECONDS: Final = 60
"""How long one batch is waited for; a process that hangs then is none any more."""

MAX_SENT: Final = 12
"""Batches that wait there at most; beyond it the walk hashes for itself."""

SHARE_OF_FILES: Final = 4
"""One in so many of the files that this process may have open may wait."""


class HashHelper:
    """Used by one thread. What becomes of the process is no error: what it did not do, its askers do."""

    def __init__(self, start_after: int = START_AFTER) -> None:
        self._asked = -start_after
        self._most = min(MAX_SENT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE_OF_FILES // BATCH)
        self._process: Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._batch: list[Ticket] = []
        self._sent: deque[list[Ticket]] = deque()

    @property
    def is_running(self) -> bool:
        """Whether it was started, and is still there."""
        return self._connection is not None

    def has_room(self, size: int) -> bool:
        """Whether a file of `size` bytes can be given to it now."""
        if not 0 < size < MAX_BYTES:
            return False
        self._asked += 1
        if self._asked == 1:
            self._start()
        if len(self._sent) >= self._most:
            self._receive(wait=False)
        return self.is_running and len(self._sent) < self._most

    def give(self, ticket: Ticket) -> None:
        """Takes a file for which there is room."""
        ticket.helped = True
        self._batch.append(ticket)
        if len(self._batch) == BATCH:
            self._send()

    def ask(self, ticket: Ticket) -> None:
        """Waits for a file that was given; if it is not done then, it is its asker's to hash."""
        while ticket.taken and not ticket.done:
            self._receive(wait=True)
        if not ticket.done and ticket in self._batch:
            self._batch.remove(ticket)

    def close(self) -> None:
        """Ends the process; what nobody asked for any more is not hashed."""
        self._lose()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        if sys.platform != "linux":
            return
        import subprocess  # here, for it costs a tenth of what an unchanged rescan takes

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", ANSWER_SECONDS, 0))
        command = [sys.executable, "-I", "-S", hash_worker.__file__, theirs.fileno(), GET_FLAGS, FLAG_MASK]
        nowhere = subprocess.DEVNULL
        with theirs, suppress(OSError):
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=nowhere, stdout=nowhere, stderr=nowhere,
                pass_fds=(theirs.fileno(),), process_group=0,  # ctrl-C is for us
            )  # fmt: skip
            self._connection = ours
        if self._process is None:
            ours.close()

    def _send(self) -> None:
        assert self._connection is not None
        sizes = array("q", [ticket.size for ticket in self._batch])
        try:
            socket.send_fds(self._connection, [sizes], [ticket.descriptor for ticket in self._batch])
        except OSError:
            self._lose()
            return
        for ticket in self._batch:
            ticket.taken = True
        self._sent.append(self._batch)
        self._batch = []

    def _receive(self, *, wait: bool) -> None:
        assert self._connection is not None
        try:
            records = self._connection.recv(RECORD * BATCH, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            if wait:
                self._lose()
            return
        except OSError:
            records = b""
        if not records:
            self._lose()
            return
        for number, ticket in enumerate(self._sent.popleft()):
            start = number * RECORD
            found = records[start]
            ticket.taken = bool(found & WHOLE)
            if ticket.taken:
                ticket.finish(records[start + 1 : start + RECORD].hex(), plain=bool(found & PLAIN))

    def _lose(self) -> None:
        """Nobody is there any more: what was sent is not done."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        for batch in self._sent:
            for ticket in batch:
                ticket.taken = False
        self._sent.clear()
