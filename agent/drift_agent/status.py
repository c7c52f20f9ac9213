"""`drift-agent status`: the running agent answers itself, through a socket in its state folder.

A socket and no file: the answer is of this moment, and needs no disk that can be written. The folder is the agent's
own (0700), so whoever may ask is root or the agent's user.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self

from drift_agent.errors import DriftlineError, InputError
from drift_agent.units import rfc3339

SCHEMA: Final = "driftline.agent-status/1"
SOCKET: Final = "status.sock"
ANSWER_SECONDS: Final = 5.0
MAX_ANSWER_BYTES: Final = 4 << 20

Document = Mapping[str, Any]


_TIMES: Final = frozenset({"oldest", "last_ack", "last_error_at", "retry_at", "scan_at", "sealed", "since"})


def readable_times(document: Any) -> None:  # noqa: ANN401 (any JSON value)
    """Puts RFC 3339 for the Unix times (ns) in a document, in place."""
    values = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    for value in values:
        readable_times(value)
    if isinstance(document, dict):
        for name in _TIMES & document.keys():
            if isinstance(document[name], int):
                document[name] = rfc3339(document[name]) if document[name] > 0 else None


class StatusServer:
    """Answers every connection with the document of that moment, as JSON, while it is entered."""

    def __init__(self, folder: Path, document: Callable[[], Document]) -> None:
        self._document = document
        path = folder / SOCKET
        path.unlink(missing_ok=True)  # left by an agent that was killed: the folder's lock is ours
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _reachable(path) as address:
            self._listener.bind(address)
        self._listener.listen(8)
        self._path = path
        self._thread = Thread(target=self._serve, name="status", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._path.unlink(missing_ok=True)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # shut down
            with connection:
                connection.settimeout(ANSWER_SECONDS)
                try:
                    connection.sendall(json.dumps({"schema": SCHEMA, **self._document()}).encode())
                except OSError:  # who asked went away
                    continue


def ask_agent(state_dir: str) -> Document:
    """The document of the agent that runs on `state_dir`.

    Raises:
        DriftlineError: no agent runs there, or it does not answer.
        InputError: what answers is no agent.
    """
    try:
        answer = _read(Path(state_dir) / SOCKET)
    except (FileNotFoundError, ConnectionRefusedError):
        raise DriftlineError(
            f"no agent runs on {state_dir}; start it with drift-agent run, or give its --config"
        ) from None
    except OSError as error:
        reason = error.strerror or "no answer in time"
        raise DriftlineError(f"the agent on {state_dir} cannot be asked: {reason}") from None
    try:
        document = json.loads(answer)
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(f"what answers on {state_dir} speaks no {SCHEMA}; is the agent of another version?")
    return document


def _read(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        with _reachable(path) as address:
            connection.connect(address)
        received = bytearray()
        while chunk := connection.recv(1 << 16):
            received += chunk
            if len(received) > MAX_ANSWER_BYTES:
                raise OSError(0, "the answer has no end")
        return bytes(received)


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A socket's address of at most 107 bytes, which is all that the kernel takes, however deep its folder is."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
