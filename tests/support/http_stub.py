"""An HTTP server that a test answers by hand, on a free loopback port."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: `path` with what stands behind its `?`; header names in any case."""

    method: str
    path: str
    headers: Message


Answer: TypeAlias = tuple[int, bytes]


@contextmanager
def answering(answer: Callable[[Asked], Answer]) -> Iterator[int]:
    """Gives the port; `answer` is called in a thread of each connection."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            status, body = answer(Asked(self.command, self.path, self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = _answer  # noqa: N815 (the names are http.server's)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
