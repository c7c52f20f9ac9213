"""The metadata service, spoken to over a real socket."""

import time
from collections.abc import Iterator

import pytest

from drift_agent import imds
from drift_agent.imds import Session, fetch_from
from http_stub import Answer, Asked, answering
from waiting import PATIENCE


def service(asked: Asked) -> Answer:
    if asked.method == "PUT":
        return 200, b"TOKEN"
    if asked.headers["X-aws-ec2-metadata-token"] != "TOKEN":
        return 401, b""
    known = {"instance-id": b"i-0abc", "huge": b"x" * 100_000, "bytes": b"\xff\x00"}
    body = known.get(asked.path.removeprefix("/latest/meta-data/"))
    return (404, b"not here") if body is None else (200, body)


@pytest.fixture
def port() -> Iterator[int]:
    with answering(service) as port:
        yield port


def test_it_gives_what_is_there_and_none_for_the_rest(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imds, "REQUEST_SECONDS", PATIENCE)
    session = Session(lambda *request: fetch_from("127.0.0.1", port, *request), time.monotonic() + PATIENCE)
    assert session.get("meta-data/instance-id") == "i-0abc"
    assert session.get("meta-data/spot/instance-action") is None
    assert session.get("meta-data/huge") is None
    assert session.get("meta-data/bytes") is None


def test_nobody_there_is_no_error() -> None:
    session = Session(lambda *request: fetch_from("127.0.0.1", 1, *request), time.monotonic() + PATIENCE)
    assert session.get("meta-data/instance-id") is None
