"""Where the collector listens."""

import pytest

from drift_agent.errors import ConfigError, DriftlineError
from drift_collector.server.auth import is_loopback
from drift_collector.server.listen import open_listener, parse_listen
from servers import free_port


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8087", ("127.0.0.1", 8087)),
        ("[::1]:99", ("::1", 99)),
        ("[::1]", ("::1", 8087)),
        ("collector.example", ("collector.example", 8087)),
        (":0", ("", 0)),
    ],
)
def test_the_forms_of_an_address(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize("text", ["host:port", "host:", "h:70000", "h:-1", "h:\u0663", "8087", "http://127.0.0.1:8087"])
def test_another_form_is_a_mistake_of_usage(text: str) -> None:
    with pytest.raises(ConfigError, match="must be HOST:PORT"):
        parse_listen(text)


def test_a_port_is_had_once() -> None:
    port = free_port()
    in_use = pytest.raises(DriftlineError, match=f"127.0.0.1:{port}: the port is in use")
    with open_listener("127.0.0.1", port), in_use:
        open_listener("127.0.0.1", port)
    open_listener("127.0.0.1", port).close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("LOCALHOST.", True), ("", False),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
     ("localhost.evil.example", False), ("127.0.0.1.nip.io", False)],
)  # fmt: skip
def test_only_this_machine_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected
