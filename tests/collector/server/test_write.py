"""The write paths as InfluxDB's clients know them: acknowledged, partial, refused, bounded."""

import gzip
import socket
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from drift_collector.server.body import Budget, Limits
from drift_collector.server.collector import Collector, Options
from drift_collector.store.tokens import Tokens
from reports import NOW, report
from stores import lines
from waiting import PATIENCE, wait_until

PATHS = ["/write?db=anything", "/api/v2/write?bucket=anything&org=anyone"]
SMALL = Limits(body=2_000, decoded=20_000, line=5_000, seconds=PATIENCE, pending=3_000)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
def collector(database: str) -> Iterator[Collector]:
    with Collector(Options(database, port=0)) as collector:
        yield collector


@pytest.fixture
def small(database: str) -> Iterator[Collector]:
    with Collector(Options(database, port=0, limits=SMALL)) as collector:
        yield collector


def stored(database: str) -> list[str]:
    connection = sqlite3.connect(database)
    try:
        query = "SELECT s.key || ' ' || p.fields || ' ' || p.time FROM metric_point p JOIN series s ON s.id = p.series"
        return [text for (text,) in connection.execute(query + " ORDER BY p.time")]
    finally:
        connection.close()


def post(url: str, body: bytes | str, **headers: str) -> requests.Response:
    data = body.encode() if isinstance(body, str) else body
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(url, data=data, headers=renamed, timeout=PATIENCE)


@pytest.mark.parametrize("path", PATHS)
def test_an_acknowledgement_is_a_204_with_a_version_and_comes_after_the_commit(
    collector: Collector, database: str, path: str
) -> None:
    answer = post(collector.url + path, "m f=1 5")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["X-Influxdb-Version"].startswith("driftline-")
    assert answer.headers["X-Driftline-Version"]
    assert answer.headers["Date"]
    assert stored(database) == ["m f=1 5"]


@pytest.mark.parametrize("path", PATHS)
def test_gzip_is_taken_also_in_several_members(collector: Collector, database: str, path: str) -> None:
    body = gzip.compress(b"m f=1 5\nm f=") + gzip.compress(b"2 6\n")
    assert post(collector.url + path, body, Content_Encoding="gzip").status_code == 204
    assert stored(database) == ["m f=1 5", "m f=2 6"]


def test_lines_are_whole_wherever_blocks_end(collector: Collector, database: str) -> None:
    text = "\n".join(f'm,host=é f="{"x" * (n % 700)}" {n}' for n in range(3_000))
    assert post(collector.url + "/write", gzip.compress(text.encode()), Content_Encoding="gzip").status_code == 204
    assert stored(database) == text.split("\n")


@pytest.mark.parametrize(
    ("path", "key"), [("/write?db=x", "error"), ("/api/v2/write?bucket=x", "message")], ids=["v1", "v2"]
)
def test_bad_lines_are_named_and_the_others_are_stored(
    collector: Collector, database: str, path: str, key: str
) -> None:
    answer = post(collector.url + path, b"good f=1 1\nbad\nn f=1u 2\nalso f=2 3\n\xff\xfe f=1 4\n")
    assert answer.status_code == 400
    message = answer.json()[key]
    assert message.startswith("partial write: unable to parse '\ufffd\ufffd f=1 4': not UTF-8\nunable to parse 'bad': ")
    assert "\nunable to parse 'n f=1u 2': bad timestamp" in message
    assert message.endswith(" dropped=3")
    assert stored(database) == ["good f=1 1", "also f=2 3"]


def test_of_very_many_bad_lines_the_first_are_named_and_all_counted(collector: Collector) -> None:
    message = post(collector.url + "/write", "bad\n" * 1_000 + "x" * 300_000).json()["error"]
    assert message.count("unable to parse") == 100
    assert message.endswith("… and 901 more dropped=1001")
    assert len(post(collector.url + "/write", ("x" * 200_000 + "\n") * 50).content) < 600_000


def test_an_empty_body_and_one_of_comments_are_nothing_and_fine(collector: Collector, database: str) -> None:
    for body in ("", "\n\n", "# comment\n"):
        assert post(collector.url + "/write", body).status_code == 204
    assert stored(database) == []


@pytest.mark.parametrize(("precision", "factor"), [("ns", 1), ("n", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9)])
def test_times_come_in_the_precision_of_the_request(
    collector: Collector, database: str, precision: str, factor: int
) -> None:
    assert post(f"{collector.url}/write?precision={precision}", "m f=1 17").status_code == 204
    assert stored(database) == [f"m f=1 {17 * factor}"]


def test_an_unknown_precision_is_refused(collector: Collector) -> None:
    answer = post(collector.url + "/write?precision=fortnight", "m f=1 17")
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid precision 'fortnight': use ns, us, ms or s"})


@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(b"m f=1 5" * 99)[:-20], gzip.compress(b"m f=1 5\n") + b"rest"]
)
def test_gzip_that_is_none_is_the_senders_fault(collector: Collector, body: bytes) -> None:
    assert post(collector.url + "/write", body, Content_Encoding="gzip").status_code == 400


def test_another_encoding_is_refused(collector: Collector) -> None:
    assert post(collector.url + "/write", zlib.compress(b"m f=1 5"), Content_Encoding="deflate").status_code == 415


def test_a_body_that_is_too_large_is_told_so_declared_or_not(small: Collector) -> None:
    assert post(small.url + "/write", b"x" * 2_001).status_code == 413
    chunked = b"POST /write HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with _connected(small) as connection:
        connection.sendall(chunked + b"8\r\nm f=1 5\n\r\n" * 400 + b"0\r\n\r\n")
        assert b" 413 " in connection.recv(100)


def test_a_bomb_is_not_inflated(small: Collector) -> None:
    bomb = gzip.compress(b"m f=1 5\n" * 100_000)
    assert len(bomb) < SMALL.body * 2
    assert post(small.url + "/write", bomb[:2_000], Content_Encoding="gzip").status_code == 413
    one_line = gzip.compress(b"m" * 15_000)
    assert post(small.url + "/write", one_line, Content_Encoding="gzip").status_code == 413


def test_bodies_that_wait_take_bounded_memory_together(small: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    take = Budget.take

    def note(budget: Budget, count: int) -> None:
        take(budget, count)
        held.append(count)

    monkeypatch.setattr(Budget, "take", note)
    with _half_sent(small, 1_900):
        wait_until(lambda: sum(held) == 1_900, what="what was half sent, held")
        assert post(small.url + "/write", b"#" * 1_900).status_code == 503
    wait_until(
        lambda: post(small.url + "/write", b"#" * 1_900).status_code == 204, what="what was given up, given back"
    )
    for _ in range(5):
        assert post(small.url + "/write", b"#" * 1_900).status_code == 204


def test_a_body_that_drips_is_cut_off(database: str) -> None:
    hasty = Options(database, port=0, limits=replace(SMALL, seconds=0.1))
    with Collector(hasty) as collector, _half_sent(collector, 10) as connection:
        assert b" 408 " in connection.recv(100)


def _connected(collector: Collector) -> socket.socket:
    parts = urlsplit(collector.url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), PATIENCE)


class _half_sent:  # noqa: N801 (reads like a function)
    """A request whose body ends too early, its connection still open."""

    def __init__(self, collector: Collector, sent: int) -> None:
        self._connection = _connected(collector)
        head = f"POST /write HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {sent + 50}\r\n\r\n"
        self._connection.sendall(head.encode() + b"#" * sent)
        # An answered request on another connection: the server has read what we sent by now.
        requests.get(collector.url + "/ping", timeout=PATIENCE)

    def __enter__(self) -> socket.socket:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def test_a_disk_that_is_full_is_no_acknowledgement(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector(Options(database, port=0)) as collector:
        collector._writer._connection.execute("PRAGMA max_page_count = 1")
        text = "\n".join(f'm,n={n} f="{"x" * 1000}" {n}' for n in range(100))
        answer = post(collector.url + "/write", text)
        assert answer.status_code == 503
        assert "disk is full" in answer.json()["error"]
        assert answer.headers["Retry-After"]


def test_many_writers_at_once_are_all_stored(collector: Collector, database: str) -> None:
    def write(number: int) -> None:
        for turn in range(10):
            assert post(collector.url + "/write", f"m,n={number} f=1 {turn}").status_code == 204

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored(database)) == 80


# ------------------------------------------------------------------------------------------------ tokens


@pytest.fixture
def guarded(database: str) -> Iterator[tuple[Collector, Tokens]]:
    with Collector(Options(database, port=0, require_tokens=True)) as collector:
        tokens = Tokens(database)
        yield collector, tokens
        tokens.close()


def _ways(secret: str) -> Iterator[dict[str, object]]:
    for scheme in ("Token", "Bearer", "token"):
        yield {"headers": {"Authorization": f"{scheme} {secret}"}}
    yield {"auth": ("anyone", secret)}
    yield {"params": {"u": "anyone", "p": secret}}


def test_a_write_token_is_known_in_every_way_that_clients_show_it(guarded: tuple[Collector, Tokens]) -> None:
    collector, tokens = guarded
    _, secret = tokens.add("write", "", NOW)
    _, reader = tokens.add("read", "", NOW)
    for path in PATHS:
        for expected, shown in ((204, secret), (401, "wrong"), (401, "\xff"), (403, reader)):
            for options in _ways(shown):
                answer = requests.post(collector.url + path, data=b"m f=1 5", timeout=PATIENCE, **options)  # type: ignore[arg-type]
                assert answer.status_code == expected
        assert requests.post(collector.url + path, data=b"m f=1 5", timeout=PATIENCE).status_code == 401


def test_a_revoked_token_ends_at_once(guarded: tuple[Collector, Tokens]) -> None:
    collector, tokens = guarded
    token, secret = tokens.add("write", "", NOW)
    assert post(collector.url + "/write", "m f=1 5", Authorization=f"Token {secret}").status_code == 204
    tokens.revoke(token.id)
    assert post(collector.url + "/write", "m f=1 5", Authorization=f"Token {secret}").status_code == 401


def test_a_bound_token_cannot_speak_for_another_instance(guarded: tuple[Collector, Tokens]) -> None:
    collector, tokens = guarded
    _, secret = tokens.add("write", "mine", NOW)
    body = lines([report("mine"), report("theirs")])
    answer = post(collector.url + "/write", body, Authorization=f"Token {secret}")
    assert answer.status_code == 400
    assert "may write only as instance 'mine'" in answer.json()["error"]
    assert answer.json()["error"].endswith("dropped=1")


def test_without_tokens_a_wrong_one_is_still_wrong(collector: Collector) -> None:
    assert post(collector.url + "/write", "m f=1 5").status_code == 204
    assert post(collector.url + "/write", "m f=1 5", Authorization="Token wrong").status_code == 401


@pytest.mark.parametrize("path", ["/write", "/"])
def test_without_tokens_a_browser_cannot_be_bent_to_it(collector: Collector, path: str) -> None:
    """DNS rebinding shows in Host, another site's page in Sec-Fetch-Site."""
    method = "POST" if path == "/write" else "GET"
    for headers, expected in (({"Host": "evil.example"}, 421), ({"Sec-Fetch-Site": "cross-site"}, 403)):
        assert requests.request(method, collector.url + path, headers=headers, timeout=PATIENCE).status_code == expected
    for host in ("localhost:8087", "127.0.0.1", "[::1]:80"):
        assert requests.request(method, collector.url + path, headers={"Host": host}, timeout=PATIENCE).ok


# ------------------------------------------------------------------------------------------------ the rest


def test_ping_and_health_need_no_token(guarded: tuple[Collector, Tokens]) -> None:
    collector, _ = guarded
    for method in ("GET", "HEAD"):
        answer = requests.request(method, collector.url + "/ping", timeout=PATIENCE)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["X-Influxdb-Version"].startswith("driftline-")
    health = requests.get(collector.url + "/health", timeout=PATIENCE)
    assert (health.status_code, health.json()["status"]) == (200, "pass")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/write", 405), ("GET", "/nowhere", 404), ("POST", "/query", 404)]
)
def test_what_is_not_there_is_told_so_with_the_servers_name(
    collector: Collector, method: str, path: str, status: int
) -> None:
    answer = requests.request(method, collector.url + path, timeout=PATIENCE)
    assert answer.status_code == status
    assert answer.headers["X-Influxdb-Version"].startswith("driftline-")
