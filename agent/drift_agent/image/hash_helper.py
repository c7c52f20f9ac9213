"""A process beside the walk that looks at files for it, many at a time: folders go there, records come back.

A process and no thread: at every call of the system two threads wait for the interpreter's lock, and small files are
nothing but such calls.
"""

import os
import resource
import socket
import struct
import sys
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drift_agent.image import hash_worker
from drift_agent.image.hash_worker import BATCH, MAX_ANSWER, message

if TYPE_CHECKING:
    from subprocess import Popen

ANSWER_SECONDS: Final = 60
"""How long it is waited for with one batch, to take or to answer it; a process that hangs then is none any more."""

MAX_SENT: Final = 12
"""Batches that wait there at most."""

SHARE_OF_FILES: Final = 4
"""One in so many of the files that this process may have open may wait."""

_ROOM_FOR_FILES: Final = socket.CMSG_LEN(BATCH * array("i").itemsize)


class HashHelper:
    """Used by one thread. What becomes of the process is no error: what is asked of it then has no answer."""

    def __init__(self) -> None:
        self._most = min(MAX_SENT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE_OF_FILES // BATCH)
        self._process: Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._sent = 0
        self._tried = False

    @property
    def has_room(self) -> bool:
        """Whether there is a process that one more batch can be sent to."""
        return self._connection is not None and self._sent < self._most

    @property
    def is_running(self) -> bool:
        """Whether it was started, and is still there."""
        return self._connection is not None

    def start(self) -> None:
        """Starts the process, once, where it can be."""
        if sys.platform != "linux" or self._tried or self._most < 1:
            return
        self._tried = True
        try:
            import subprocess  # here, for it costs a tenth of what an unchanged rescan takes

            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except (OSError, ImportError):  # too many files are open, or this Python is not there any more
            return
        for wait in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, wait, struct.pack("ll", ANSWER_SECONDS, 0))
        command = [sys.executable, "-I", "-S", hash_worker.__file__, str(theirs.fileno())]
        nowhere = subprocess.DEVNULL
        with theirs, suppress(OSError):
            self._process = subprocess.Popen(
                command,
                stdin=nowhere, stdout=nowhere, stderr=nowhere,
                pass_fds=(theirs.fileno(),), process_group=0,  # ctrl-C is for us
            )  # fmt: skip
            self._connection = ours
        if self._process is None:
            ours.close()

    def send(self, folders: list[int], counts: "array[int]", names: list[bytes]) -> bool:
        """Asks for one batch, as `look_at` takes it; False where nobody is there to ask."""
        if self._connection is None:
            return False
        try:
            socket.send_fds(self._connection, [message(counts, names)], folders)
        except OSError:
            self._lose()
            return False
        self._sent += 1
        return True

    def receive(self, *, wait: bool) -> tuple[bytes, list[int]] | None:
        """The answer to the oldest batch that was sent: records with xattrs, and descriptors of what is left open.

        None where there is none yet, or nobody who would give it any more.
        """
        if self._connection is None:
            return None
        flags = socket.MSG_CMSG_CLOEXEC | (0 if wait else socket.MSG_DONTWAIT)
        try:
            records, ancillary, how, _ = self._connection.recvmsg(MAX_ANSWER, _ROOM_FOR_FILES, flags)
        except BlockingIOError:
            if wait:
                self._lose()
            return None
        except OSError:
            self._lose()
            return None
        left_open = array("i")
        for _, _, descriptors in ancillary:  # `socket.recv_fds` loses its flags (Python 3.11)
            left_open.frombytes(descriptors[: len(descriptors) - len(descriptors) % left_open.itemsize])
        if not records or how & socket.MSG_CTRUNC:
            for descriptor in left_open:
                os.close(descriptor)
            self._lose()
            return None
        self._sent -= 1
        return records, left_open.tolist()

    def close(self) -> None:
        """Ends the process; what nobody asked for any more is not looked at."""
        self._lose()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _lose(self) -> None:
        """Nobody is there any more."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._sent = 0
