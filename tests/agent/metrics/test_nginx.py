"""nginx: what a stub_status page says, over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

import host_trees
from drift_agent.config_file import read_options
from drift_agent.errors import ConfigError
from drift_agent.metrics.nginx import NginxOptions, parse_status
from http_stub import answering
from servers import free_port
from waiting import PATIENCE

PAGE = (
    b"Active connections: 291 \nserver accepts handled requests\n 16630948 16630948 31070465 \n"
    b"Reading: 6 Writing: 179 Waiting: 106 \n"
)
VALUES = {
    "active": 291, "accepts": 16630948, "handled": 16630948, "requests": 31070465, "reading": 6, "writing": 179,
    "waiting": 106,
}  # fmt: skip


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drift_agent.metrics.nginx._TIMEOUT", PATIENCE)


@contextmanager
def serving(status: int, body: bytes) -> Iterator[str]:
    with answering(lambda _: (status, body)) as port:
        yield f"http://127.0.0.1:{port}/nginx_status"


def test_the_page_of_a_server() -> None:
    with serving(200, PAGE) as url:
        (point,) = host_trees.gather(host_trees.make("nginx", urls=(url,)))
    assert point.fields == VALUES
    assert point.tags == {"server": "127.0.0.1", "port": url.split(":")[2].partition("/")[0]}


def test_one_server_that_fails_is_said_and_takes_no_other_with_it() -> None:
    with serving(200, PAGE) as good, serving(404, b"") as bad:
        points = iter(host_trees.make("nginx", urls=(bad, good))(0, 0.0))
        assert next(points).fields == VALUES
        with pytest.raises(OSError, match="404 Client Error"):
            next(points)


def test_where_nothing_answers_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # ours is no page to go through a proxy for
    url = f"http://127.0.0.1:{free_port()}/status"
    with pytest.raises(OSError, match=rf"^{url}: nothing answers there; give the address of stub_status in [^;]*$"):
        host_trees.gather(host_trees.make("nginx", urls=(url,)))
    with serving(200, PAGE) as good:
        assert host_trees.gather(host_trees.make("nginx", urls=(good,)))


def test_an_answer_that_is_no_such_page_is_said() -> None:
    with serving(200, b"<html>It works!</html>") as url, pytest.raises(OSError, match="no stub_status page"):
        host_trees.gather(host_trees.make("nginx", urls=(url,)))


def test_an_address_that_is_none_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"metrics\.nginx\.urls"):
        read_options(NginxOptions, "metrics.nginx", {"urls": ["localhost"]})


@given(st.binary(max_size=200))
def test_no_body_breaks_it(body: bytes) -> None:
    try:
        values = parse_status(body)
    except ValueError:
        return
    assert set(values) == set(VALUES)
