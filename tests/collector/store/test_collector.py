"""A collector as a store: tokens, and a sentence for every way in which the other side can fail."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drift_agent.errors import StoreError
from drift_collector.server.collector import Collector, Options
from drift_collector.store.collector import CollectorStore
from drift_collector.store.tokens import Tokens
from reports import NOW, report
from servers import Influxd1, free_port
from waiting import PATIENCE

EVER = 2**63 - 2


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """A server that gives these answers, one a connection, and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(PATIENCE)


def reading(url: str, token: str = "") -> list[object]:
    store = CollectorStore(url, token)
    try:
        return list(store.newest(0, EVER))
    finally:
        store.close()


def test_a_read_token_is_needed_where_tokens_are_demanded(tmp_path: Path) -> None:
    database = str(tmp_path / "store.db")
    with Collector(Options(database, port=0, require_tokens=True)) as collector:
        tokens = Tokens(database)
        _, reader = tokens.add("read", "", NOW)
        _, writer = tokens.add("write", "", NOW)
        tokens.close()
        assert reading(collector.url, reader) == []
        for token, said in (
            ("", "demands a token"),
            ("wrong", "not known here"),
            (writer, "a write token cannot read"),
        ):
            with pytest.raises(StoreError, match=f"{said}.*set DRIFTLINE_TOKEN to a read token"):
                reading(collector.url, token)
            store = CollectorStore(collector.url, token)
            with pytest.raises(StoreError, match="DRIFTLINE_TOKEN"):
                list(store.lookback(NOW, ["i-1"]))
            with pytest.raises(StoreError, match="DRIFTLINE_TOKEN"):
                store.items(report())


def test_a_collector_that_is_down(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be reached: Connection refused; check that it is up"):
        reading(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreError, match=r"nohost\.invalid:1: cannot be reached"):
        reading("http://nohost.invalid:1")


def test_a_collector_that_speaks_no_tls(tmp_path: Path) -> None:
    with (
        Collector(Options(str(tmp_path / "store.db"), port=0)) as collector,
        pytest.raises(StoreError, match="speaks no TLS; write http://"),
    ):
        reading(collector.url.replace("http:", "https:"))


def test_an_influxdb_is_no_collector(influxd1: Influxd1) -> None:
    with pytest.raises(StoreError, match=r"is no Driftline collector; InfluxDB is influxdb://"):
        reading(influxd1.url)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "cannot be reached: it gave no answer; check"),
        (b"SSH-2.0-OpenSSH\r\n", "cannot be reached: its answer is no HTTP; check"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{", "cannot be reached|cut short"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"end": 7}', "lacks lines"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "not what this program understands"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "redirects .302., and"),
        (b'HTTP/1.1 503 No\r\nContent-Length: 21\r\n\r\n{"error": "disk full"}', "answers 503"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops", "answers 500: oops"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "cannot be reached"),
        (b"nonsense\r\n\r\n", "cannot be reached"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(answer: bytes, said: str) -> None:
    with answering(answer) as url, pytest.raises(StoreError, match=said) as caught:
        reading(url)
    assert "\n" not in str(caught.value)


def test_a_token_that_is_quoted_is_not_shown() -> None:
    said = b'{"error": "what is Token hunter2-hunter2?"}'
    answer = b"HTTP/1.1 500 Oh\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(said) + said
    with answering(answer) as url, pytest.raises(StoreError, match=r"what is Token \[redacted\]"):
        reading(url, "hunter2-hunter2")


def test_an_endless_line_is_not_kept_in_memory() -> None:
    body = b"x" * (5 << 20)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with answering(answer) as url, pytest.raises(StoreError, match="a line that is too long"):
        reading(url)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "does not answer within 0.2 s; check the address"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{", "fell silent in the middle of its answer"),
    ],
)
def test_silence_ends(monkeypatch: pytest.MonkeyPatch, answer: bytes, said: str) -> None:
    monkeypatch.setattr("drift_collector.store.http.READ_SECONDS", 0.2)
    held: list[socket.socket] = []

    def answer_and_hold() -> None:
        connection, _ = listener.accept()
        held.append(connection)
        connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_and_hold, daemon=True).start()
        with pytest.raises(StoreError, match=said):
            reading(f"http://127.0.0.1:{listener.getsockname()[1]}")
    for connection in held:
        connection.close()


def test_who_closes_without_an_answer_may_speak_tls() -> None:
    with answering(b"") as url, pytest.raises(StoreError, match="check that it is up, and whether it speaks TLS"):
        reading(url)
