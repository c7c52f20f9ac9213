"""A server that answers writes as it is told: recorded answers, and everything that a network does to them.

Each request takes the next of `answers`; when there are none left, a whole 204 like InfluxDB's. What a 204 was said to
is in `stored`. It listens on a free loopback port; a context manager.
"""

import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

VERSION: Final = "1.8.10"


@dataclass(frozen=True)
class Request:
    """One request as it came: header names in lower case, the body inflated."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def lines(self) -> list[str]:
        return self.body.decode().splitlines()


Reply = Callable[[socket.socket, threading.Event], bool]
"""Writes to the connection, and says whether that is kept; the event is set when the server closes."""


def answer(status: str, body: str = "", headers: Mapping[str, str] | None = None) -> Reply:
    """A whole answer: `answer("503 Service Unavailable", headers={"Retry-After": "3"})`."""
    fields = {"Date": "Tue, 14 Nov 2023 22:13:20 GMT", "X-Influxdb-Version": VERSION, **(headers or {})}
    if not status.startswith("204"):
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body.encode())), **fields}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return raw(f"HTTP/1.1 {status}\r\n{head}\r\n{body}".encode(), keep=True)


def raw(data: bytes, *, keep: bool = False) -> Reply:
    """These bytes; then the connection is closed, unless it is to be kept."""

    def reply(connection: socket.socket, _: threading.Event) -> bool:
        connection.sendall(data)
        return keep

    return reply


def silence(connection: socket.socket, closing: threading.Event) -> bool:
    """No byte, until the client gives up: a black hole."""
    while not closing.is_set():
        try:
            if not connection.recv(1 << 16):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return False


def drip(connection: socket.socket, closing: threading.Event) -> bool:
    """An answer whose header comes a byte at a time and never ends."""
    return _drip(connection, closing, b"HTTP/1.1 204 No Content\r\nX-Slow: ")


def drip_body(connection: socket.socket, closing: threading.Event) -> bool:
    """An answer whose body comes a byte at a time and never ends."""
    return _drip(connection, closing, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 1000000\r\n\r\n")


def _drip(connection: socket.socket, closing: threading.Event, start: bytes) -> bool:
    connection.sendall(start)
    while not closing.wait(0.02):
        try:
            connection.sendall(b"x")
        except OSError:
            break
    return False


def reset(connection: socket.socket, _: threading.Event) -> bool:
    """The connection is reset instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


class StubInflux:
    """See the module's docstring. `ping` answers `GET /ping`; `cut_bodies` resets so many connections in mid-body."""

    def __init__(self, *answers: Reply, ping: Reply | None = None) -> None:
        self.answers = list(answers)
        self.ping = ping or answer("204 No Content")
        self.cut_bodies = 0
        self.requests: list[Request] = []
        self.stored: list[str] = []
        self.connections = 0
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def writes(self) -> list[Request]:
        """The requests that were no probes."""
        return [request for request in self.requests if request.method == "POST"]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def wrap(self, connection: socket.socket) -> socket.socket:
        """What a connection is spoken to through; TLS in a subclass."""
        return connection

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(0.1)
        try:
            with self.wrap(connection) as wrapped:
                while self._serve_one(wrapped):
                    pass
        except OSError:
            return

    def _serve_one(self, connection: socket.socket) -> bool:
        """One request; whether the connection is kept."""
        head = self._read_until(connection, b"\r\n\r\n")
        if head is None:
            return False
        text, _, body = head.partition(b"\r\n\r\n")
        first, *rest = text.decode().split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        length = int(headers.get("content-length", "0"))
        if method == "POST" and self.cut_bodies:
            self.cut_bodies -= 1
            return reset(connection, self._closing)
        while len(body) < length:
            body += self._read(connection)
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = Request(method, path, headers, body)
        self.requests.append(request)
        reply = self.ping if method == "GET" else self.answers.pop(0) if self.answers else self._store(request)
        return reply(connection, self._closing)

    def _store(self, request: Request) -> Reply:
        self.stored += request.lines
        return answer("204 No Content")

    def _read_until(self, connection: socket.socket, mark: bytes) -> bytes | None:
        data = b""
        while mark not in data:
            part = self._read(connection)
            if not part:
                return None
            data += part
        return data

    def _read(self, connection: socket.socket) -> bytes:
        end = time.monotonic() + 60
        while not self._closing.is_set() and time.monotonic() < end:
            try:
                return connection.recv(1 << 16)
            except TimeoutError:
                continue
        return b""
