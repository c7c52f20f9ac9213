"""One exchange: its deadline, its bounds, what it follows and trusts."""

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drift_agent.config import OutputOptions
from drift_agent.ship.deadline import Watchdog
from drift_agent.ship.http import HttpClient, UnreachableError
from http_stub import answering
from servers import free_port
from stub_influx import Reply, StubInflux, answer, drip, drip_body, raw, reset, silence
from waiting import PATIENCE, wait_until

SOON = 30.0
"""A hundred deadlines: what hung would hang for good, and what is busy is not that slow."""


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.end()


def write(server: StubInflux, watchdog: Watchdog, seconds: float = 30.0) -> int:
    client = HttpClient(OutputOptions(url=server.url), watchdog, seconds)
    try:
        return client.exchange("POST", "/write", {}, [b"m v=1 1\n"]).status
    finally:
        client.close()


def test_a_body_is_gzipped_and_the_connection_is_kept(watchdog: Watchdog) -> None:
    with StubInflux() as server:
        client = HttpClient(OutputOptions(url=server.url), watchdog)
        for _ in range(3):
            assert client.exchange("POST", "/write", {"Authorization": "Token t"}, [b"m v=1 1\n"]).status == 204
        client.close()
    assert server.connections == 1
    assert server.writes[0].headers["content-encoding"] == "gzip"
    assert server.writes[0].headers["authorization"] == "Token t"
    assert server.stored == ["m v=1 1"] * 3


@pytest.mark.parametrize("reply", [silence, drip, drip_body])
def test_no_answer_outlasts_the_deadline(reply: Reply, watchdog: Watchdog) -> None:
    with StubInflux(reply) as server:
        begin = time.monotonic()
        with pytest.raises(UnreachableError, match="no whole answer"):
            write(server, watchdog, 0.3)
        assert time.monotonic() - begin < SOON


def test_after_a_deadline_the_next_exchange_works(watchdog: Watchdog) -> None:
    with StubInflux(drip) as server:
        client = HttpClient(OutputOptions(url=server.url), watchdog, 0.3)
        with pytest.raises(UnreachableError):
            client.exchange("POST", "/write", {}, [b"m v=1 1\n"])
        client._seconds = PATIENCE
        assert client.exchange("POST", "/write", {}, [b"m v=1 1\n"]).status == 204
        client.close()


def test_another_thread_can_end_an_exchange_for_good(watchdog: Watchdog) -> None:
    with StubInflux(silence) as server:
        client = HttpClient(OutputOptions(url=server.url), watchdog)
        threading.Timer(0.2, client.abort, ["the agent stops"]).start()
        begin = time.monotonic()
        for _ in range(2):
            with pytest.raises(UnreachableError, match="the agent stops"):
                client.exchange("POST", "/write", {}, [b"m v=1 1\n"])
        assert time.monotonic() - begin < SOON
        client.close()


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (reset, "connection reset by peer"),
        (raw(b""), "connection closed without an answer: if it speaks TLS, write https:// in url"),
        (raw(b"garbage\r\n\r\n"), "the answer is no HTTP"),
        (raw(b"HTTP/1.1 2"), "the answer is no HTTP"),
        (raw(b"\x00" * 9999), "the answer is no HTTP"),
        (raw(b"HTTP/1.1 400 Bad\r\nContent-Length: 50\r\n\r\n{"), "the answer was cut off"),
    ],
)
def test_what_is_no_whole_answer_of_http_is_none(reply: Reply, sentence: str, watchdog: Watchdog) -> None:
    with StubInflux(reply) as server, pytest.raises(UnreachableError, match=f"^{sentence}$"):
        write(server, watchdog)


def test_a_name_that_cannot_be_resolved(watchdog: Watchdog) -> None:
    client = HttpClient(OutputOptions(url="http://nowhere.invalid:8086"), watchdog)
    with pytest.raises(UnreachableError, match="name cannot be resolved"):
        client.exchange("GET", "/ping", {})


def test_nobody_listens(watchdog: Watchdog) -> None:
    client = HttpClient(OutputOptions(url=f"http://127.0.0.1:{free_port()}"), watchdog)
    with pytest.raises(UnreachableError, match=r"^connection refused$"):
        client.exchange("GET", "/ping", {})


def test_redirects_and_cookies_are_not_followed(watchdog: Watchdog) -> None:
    with StubInflux(answer("302 Found", headers={"Location": "/login", "Set-Cookie": "a=b"})) as server:
        client = HttpClient(OutputOptions(url=server.url), watchdog)
        assert client.exchange("POST", "/write", {}, [b"m v=1 1\n"]).status == 302
        client.exchange("POST", "/write", {}, [b"m v=1 1\n"])
        client.close()
    assert [request.path for request in server.requests] == ["/write", "/write"]
    assert "cookie" not in server.requests[1].headers


def test_an_endless_answer_is_read_to_a_bound(watchdog: Watchdog) -> None:
    def flood(connection: socket.socket, closing: threading.Event) -> bool:
        connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")
        connection.settimeout(PATIENCE)
        while not closing.is_set():
            connection.sendall(b"x" * 65536)
        return False

    with StubInflux(flood) as server:
        client = HttpClient(OutputOptions(url=server.url), watchdog)
        assert len(client.exchange("POST", "/write", {}, [b"m v=1 1\n"]).body) < 5 << 20
        client.close()


def test_credentials_of_a_netrc_are_not_sent(
    tmp_path: Path, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with StubInflux() as server:
        write(server, watchdog)
    assert "authorization" not in server.writes[0].headers


@pytest.mark.parametrize("by_environment", [False, True])
def test_a_proxy_is_asked_for_the_whole_address(
    by_environment: bool, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StubInflux() as proxy:
        if by_environment:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
        options = OutputOptions(url="http://influxdb.example:8086", proxy="" if by_environment else proxy.url)
        client = HttpClient(options, watchdog)
        assert client.exchange("POST", "/write", {}, [b"m v=1 1\n"]).status == 204
        client.close()
    assert proxy.requests[0].path == "http://influxdb.example:8086/write"


# --------------------------------------------------------------------------------------------------------------- TLS


def make_certificates(folder: Path) -> None:
    """A CA and a certificate of 127.0.0.1 that it has signed, for server and client."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
    openssl("req", *key, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=127.0.0.1")
    (folder / "extensions").write_text("subjectAltName = IP:127.0.0.1\n")
    openssl(
        *("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-extfile", "extensions", "-out", "cert.pem", "-days", "2"),
    )


class TlsInflux(StubInflux):
    def __init__(self, folder: Path, *answers: Reply, demand_client: bool = False) -> None:
        super().__init__(*answers)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        if demand_client:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(folder / "ca.pem")

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")

    def wrap(self, connection: socket.socket) -> socket.socket:
        connection.settimeout(PATIENCE)
        return self._context.wrap_socket(connection, server_side=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


def test_a_certificate_is_verified(certificates: Path, watchdog: Watchdog) -> None:
    with TlsInflux(certificates) as server:
        with pytest.raises(UnreachableError, match="set ca_file"):
            write(server, watchdog)
        client = HttpClient(OutputOptions(url=server.url, ca_file=str(certificates / "ca.pem")), watchdog)
        assert client.exchange("POST", "/write", {}, [b"m v=1 1\n"]).status == 204
        client.close()


def test_a_client_certificate_is_shown(certificates: Path, watchdog: Watchdog) -> None:
    with TlsInflux(certificates, demand_client=True) as server:
        trust = OutputOptions(url=server.url, ca_file=str(certificates / "ca.pem"))
        with pytest.raises(UnreachableError):
            HttpClient(trust, watchdog).exchange("POST", "/write", {}, [b"m v=1 1\n"])
        shown = OutputOptions(
            url=server.url,
            ca_file=str(certificates / "ca.pem"),
            cert_file=str(certificates / "cert.pem"),
            key_file=str(certificates / "key.pem"),
        )
        client = HttpClient(shown, watchdog)
        assert client.exchange("POST", "/write", {}, [b"m v=1 1\n"]).status == 204
        client.close()


def test_a_mistake_with_certificates_says_which_key_to_look_at(certificates: Path, watchdog: Watchdog) -> None:
    ca, cert, key = (str(certificates / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    (certificates / "none").write_text("no certificate")
    none = str(certificates / "none")
    with TlsInflux(certificates) as tls, answering(lambda _: (204, b"")) as plain:
        for options, said in (
            (OutputOptions(url=f"https://127.0.0.1:{plain}", ca_file=ca), "write http:// in url"),
            (OutputOptions(url=tls.url, ca_file=none), "ca_file holds no certificate"),
            (OutputOptions(url=tls.url, ca_file=ca, cert_file=none, key_file=key), "cert_file or key_file holds no"),
            (OutputOptions(url=tls.url, ca_file=ca, cert_file=ca, key_file=key), "key_file does not belong to cert"),
            (OutputOptions(url=tls.url, ca_file=ca, cert_file=cert + "x"), "cert.pemx"),
        ):
            with pytest.raises(UnreachableError, match=said):
                HttpClient(options, watchdog).exchange("POST", "/write", {}, [b"m v=1 1\n"])


def test_the_deadline_holds_under_tls(certificates: Path, watchdog: Watchdog) -> None:
    with TlsInflux(certificates, drip) as server:
        client = HttpClient(OutputOptions(url=server.url, ca_file=str(certificates / "ca.pem")), watchdog, 0.5)
        begin = time.monotonic()
        with pytest.raises(UnreachableError, match="no whole answer"):
            client.exchange("POST", "/write", {}, [b"m v=1 1\n"])
        assert time.monotonic() - begin < SOON
        client.close()


def test_the_deadline_holds_for_a_handshake_that_never_ends(watchdog: Watchdog) -> None:
    with StubInflux() as server:
        client = HttpClient(OutputOptions(url=server.url.replace("http:", "https:")), watchdog, 0.5)
        begin = time.monotonic()
        with pytest.raises(UnreachableError):
            client.exchange("POST", "/write", {}, [b"m v=1 1\n"])
        assert time.monotonic() - begin < SOON
        client.close()


def test_no_descriptor_is_left_behind(watchdog: Watchdog) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    with StubInflux() as server:
        write(server, watchdog)
        before = descriptors()
        for _ in range(20):
            write(server, watchdog)
        wait_until(lambda: descriptors() <= before + 2, what="the descriptors given back")
