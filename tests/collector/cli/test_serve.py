"""`drift serve` and `drift token` as an operator meets them: real processes, one sentence for each mistake."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import requests

from commands import Commands
from drift_agent.errors import StoreError
from drift_agent.image import sign
from drift_agent.image.manifest import Manifest
from drift_collector.cli import serve, token
from drift_collector.report.document import schema
from drift_collector.store.collector import CollectorStore
from reports import report
from servers import free_port
from stores import lines
from trees import bake_tree, make_tree
from waiting import PATIENCE, wait_until

DRIFT = [sys.executable, "-c", "from drift_collector.cli import main; main()"]


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(serve.register, token.register, capsys=capsys)


def drift(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DRIFT, *arguments], capture_output=True, text=True, timeout=PATIENCE, env=_environ(home), check=False
    )


def _environ(home: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "COLUMNS": "100"}


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = free_port()
    command = [*DRIFT, "serve", "--listen", f"127.0.0.1:{port}", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environ(home))
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url) or process.poll() is not None, what="the server's answer")
        yield process, url
    finally:
        process.kill()
        process.communicate()


def _answers(url: str) -> bool:
    try:
        return requests.get(url + "/ping", timeout=10).status_code == 204
    except requests.RequestException:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_ends_it_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as (process, url):
        sent = lines([report("i-1", time=os.stat(tmp_path).st_mtime_ns)])
        assert requests.post(url + "/write", data=sent, timeout=PATIENCE).status_code == 204
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, "")
    database = tmp_path / "data/driftline/store.db"
    assert err == f"drift serve: serving on {url}, store {database}; ctrl-C ends it\n"
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT instance FROM newest").fetchall() == [("i-1",)]
    connection.close()


def test_its_page_believes_signed_manifests_alone_where_a_key_is_given(tmp_path: Path) -> None:
    """As `drift report` does; a signature that comes while it serves counts at once."""
    trusted = tmp_path / "trusted"
    manifest = trusted / "web.jsonl"
    make_tree(tmp_path / "root", {"etc/motd": "hello\n"})
    trusted.mkdir()
    bake_tree(tmp_path / "root", manifest).close()
    private, public = str(tmp_path / "key"), str(tmp_path / "key.pub")
    sign.keygen(private, public)
    with Manifest.open(str(manifest)) as opened:
        header = opened.header
    clean = report(
        "i-1", image=header.stamp, manifest=header.digest, observed=header.digest, policy=header.policy_digest
    )
    with serving(tmp_path, "--manifests", str(trusted), "--public", public) as (_, url):
        sent = lines([replace(clean, time=time.time_ns(), scan_at=time.time_ns())])
        assert requests.post(url + "/write", data=sent, timeout=PATIENCE).status_code == 204
        page = requests.get(url, timeout=PATIENCE).text
        assert "the trusted manifest of demo@1 has no signature" in page
        sign.sign(str(manifest), private)
        page = requests.get(url, timeout=PATIENCE).text
        assert "no signature" not in page
        assert "digests compared with 1 trusted manifest" in page


def test_ctrl_c_while_a_client_stays_connected_ends_it_all_the_same(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, url):
        idle = socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])))
        half = socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])))
        half.sendall(b"POST /write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nm ")
        requests.get(url + "/ping", timeout=PATIENCE)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        idle.close()
        half.close()
    assert process.returncode == 0


def test_a_port_in_use_and_a_store_in_use_are_one_sentence_each(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, url):
        address = url.removeprefix("http://")
        port = drift("serve", "--listen", address, "--database", str(tmp_path / "other.db"), home=tmp_path)
        store = drift("serve", "--listen", f"127.0.0.1:{free_port()}", home=tmp_path)
    assert port.returncode == 1
    assert (
        port.stderr == f"drift: {address}: the port is in use; stop what listens there, or give another with --listen\n"
    )
    assert store.returncode == 6
    assert "another server writes this store" in store.stderr
    assert store.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--database", "FILE/store.db"], 1, "cannot be written"),
        (["--listen", "nonsense:port"], 64, "must be HOST:PORT"),
        (["--listen", "192.0.2.1:8087"], 64, "cannot listen there"),
        (["--listen", "nohost.invalid:8087"], 64, "is no address of this machine"),
        (["--retention", "soon"], 64, "--retention: 'soon' is not a duration"),
        (["--retention", "5s"], 64, "must be at least 1m"),
        (["--drift-retention", "99999999999999999999d"], 64, "over a hundred years"),
        (["--tls-cert", "FILE"], 64, "go together"),
        (["--tls-cert", "FILE", "--tls-key", "FILE"], 64, "the certificate or its key cannot be used"),
        (["--tls-cert", "/no.crt", "--tls-key", "/no.key"], 64, "/no.crt and /no.key: No such file or directory"),
        (["--manifests", "FILE"], None, "FILE"),
        (["--public", "FILE"], 64, "name their folder with --manifests"),
    ],
)
def test_a_mistake_is_one_sentence_and_no_traceback(
    tmp_path: Path, commands: Commands, arguments: list[str], code: int | None, said: str
) -> None:
    file = tmp_path / "FILE"
    file.write_text("x")
    given = [argument.replace("FILE", str(file)) for argument in arguments]
    if "--listen" not in given:
        given += ["--listen", f"127.0.0.1:{free_port()}"]
    if "--database" not in given:
        given += ["--database", str(tmp_path / "store.db")]
    ended = commands("serve", *given)
    assert ended.code == code or (code is None and ended.code)
    assert said.replace("FILE", str(file)) in ended.err
    assert ended.err.count("\n") == 1


def test_where_tokens_are_demanded_commands_make_and_revoke_them_at_once(tmp_path: Path, commands: Commands) -> None:
    database = ["--database", str(tmp_path / "store.db")]
    with serving(tmp_path, "--require-tokens", *database) as (_, url):
        assert requests.post(url + "/write", data="m f=1 5", timeout=PATIENCE).status_code == 401
        made = commands("token", "add", "--write", "--instance", "i-1", *database)
        secret = made.out.strip()
        assert secret.startswith("dl_")
        assert secret not in made.err
        headers = {"Authorization": f"Token {secret}"}
        assert requests.post(url + "/write", data="m f=1 5", headers=headers, timeout=PATIENCE).status_code == 204
        listed = json.loads(commands("token", "list", "--format", "json", *database).out)
        jsonschema.validate(listed, schema("driftline.tokens/1"))
        (known,) = listed["tokens"]
        assert (known["scope"], known["instance"]) == ("write", "i-1")
        table = commands("token", "list", *database).out
        assert known["id"] in table
        assert secret not in table + str(listed)
        assert commands("token", "revoke", known["id"], *database).code == 0
        assert requests.post(url + "/write", data="m f=1 5", headers=headers, timeout=PATIENCE).status_code == 401
    assert commands("token", "add", "--read", *database).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["add"], 64, "say --write or --read"),
        (["add", "--write", "--read"], 64, "one of them"),
        (["add", "--read", "--instance", "i"], 64, "--instance goes with --write"),
        (["revoke", "none"], 1, "none: no such token"),
    ],
)
def test_a_mistake_with_tokens_is_one_sentence(
    tmp_path: Path, commands: Commands, arguments: list[str], code: int, said: str
) -> None:
    ended = commands("token", *arguments, "--database", str(tmp_path / "store.db"))
    assert ended.code == code
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_https_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    command = [*DRIFT, "serve", "--listen", f"127.0.0.1:{port}", "--tls-cert", str(certificate), "--tls-key", str(key)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=_environ(tmp_path))
    try:
        url = f"https://127.0.0.1:{port}/ping"

        def answers() -> bool:
            try:
                return requests.get(url, verify=str(certificate), timeout=10).status_code == 204
            except requests.exceptions.SSLError:
                raise
            except requests.RequestException:
                return False

        wait_until(answers, what="an answer over TLS")
        untrusting = CollectorStore(f"https://127.0.0.1:{port}", "")
        with pytest.raises(StoreError, match="self-signed certificate; name its CA in REQUESTS_CA_BUNDLE"):
            list(untrusting.newest(0, 1))
        untrusting.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
