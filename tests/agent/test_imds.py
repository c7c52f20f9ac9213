"""The metadata service, spoken to over a real socket."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from drift_agent import imds
from drift_agent.imds import Session, fetch_from
from waiting import PATIENCE


class Service(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.answer(200, b"TOKEN")

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != "TOKEN":
            self.answer(401, b"")
        elif self.path == "/latest/meta-data/instance-id":
            self.answer(200, b"i-0abc")
        elif self.path == "/latest/meta-data/huge":
            self.answer(200, b"x" * 100_000)
        elif self.path == "/latest/meta-data/bytes":
            self.answer(200, b"\xff\x00")
        else:
            self.answer(404, b"not here")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is http.server's)
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_gives_what_is_there_and_none_for_the_rest(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imds, "REQUEST_SECONDS", PATIENCE)
    session = Session(lambda *request: fetch_from("127.0.0.1", port, *request), time.monotonic() + PATIENCE)
    assert session.reachable
    assert session.get("meta-data/instance-id") == "i-0abc"
    assert session.get("meta-data/spot/instance-action") is None
    assert session.get("meta-data/huge") is None
    assert session.get("meta-data/bytes") is None


def test_nobody_there_is_no_error() -> None:
    session = Session(lambda *request: fetch_from("127.0.0.1", 1, *request), time.monotonic() + PATIENCE)
    assert not session.reachable
    assert session.get("meta-data/instance-id") is None
