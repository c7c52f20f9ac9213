"""InfluxDB as a store: what each version refuses, answers that are none, and 3.x.

No InfluxDB 3 can be had here: its tests run against a stub, made from what its source says of `/query` and `/ping`.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from drift_agent.errors import StoreError
from drift_collector.store import open_store
from drift_collector.store.base import DriftReport, Store
from drift_collector.store.influx import HORIZON_NS
from drift_collector.store.influx_init import init_store
from drift_collector.store.influxql import literal
from http_stub import Answer, Asked, answering
from reports import NOW, SECOND, report
from servers import Influxd1, Influxd2, InfluxQLServer
from stores import lines

EVER = 2**63 - 2
TOKEN = "apiv3_token"

Query = Callable[[str, dict[str, str]], Answer]


@contextmanager
def stub(answer: Query, token: str = "") -> Iterator[str]:
    """A server that looks at the address alone, as 3.x does; `answer` gets path and parameters of each request."""

    def answer_who_may_ask(asked: Asked) -> Answer:
        scheme, _, shown = asked.headers.get("Authorization", "").partition(" ")
        if token and (scheme not in ("Token", "Bearer") or shown != token):
            return 401, b'{"error": "the request was not authenticated"}'
        parts = urlsplit(asked.path)
        return answer(parts.path, {name: value[0] for name, value in parse_qs(parts.query).items()})

    with answering(answer_who_may_ask) as port:
        yield f"influxdb://127.0.0.1:{port}/fleet"


def _v3(queries: list[str], *found: DriftReport) -> Query:
    """3.x: rows without `tags`, each chunk a line that ends with CR LF; SHOW goes back 24 h unless a time says more."""

    def answer(path: str, parameters: dict[str, str]) -> Answer:
        if path == "/ping":
            return 200, b'{"version": "3.9.6", "revision": "x", "process_id": "y"}'
        assert (path, parameters["db"], parameters["epoch"], parameters["chunked"]) == ("/query", "fleet", "ns", "true")
        query = parameters["q"]
        queries.append(query)
        if query.startswith("SHOW TAG VALUES"):
            names = sorted({each.instance for each in found}) if "WHERE time >=" in query else []
            rows, columns = [["instance", name] for name in names], ["key", "value"]
        else:
            asked = [each for each in found if '"instance" =' not in query or f"'{each.instance}'" in query]
            if '"drift_item"' in query:
                asked = []
            columns = ["time", *(name for name in DriftReport.__dataclass_fields__ if name not in ("time", "resets"))]
            if "time >= " in query:
                since = int(query.partition("time >= ")[2].split()[0])
                asked = [each for each in asked if each.time >= since]
            rows = [[getattr(each, name) for name in columns] for each in asked]
        lines = []
        for row in rows:
            series = {"name": "drift", "columns": columns, "values": [row]}
            lines.append(json.dumps({"results": [{"statement_id": 0, "series": [series]}]}).encode() + b"\r\n")
        return 200, b"".join(lines) or b'{"results": [{"statement_id": 0, "series": []}]}\r\n'

    return answer


def test_a_fleet_is_read_from_a_stub_of_3x() -> None:
    fresh, old = report("i-1", time=NOW), report("i-old", time=NOW - 9000 * SECOND, state="drifted", added=1)
    queries: list[str] = []
    with stub(_v3(queries, fresh, old), TOKEN) as url:
        store = open_store(url, {"DRIFTLINE_TOKEN": TOKEN})
        assert list(store.newest(NOW - 60 * SECOND, EVER)) == [fresh]
        assert list(store.lookback(NOW - 60 * SECOND)) == [old]
        store.close()
        refused = open_store(url, {"DRIFTLINE_TOKEN": "wrong"})
        with pytest.raises(StoreError, match=r"refuses us \(the request was not authenticated\); set DRIFTLINE_TOKEN"):
            list(refused.newest(0, EVER))
    assert any(f"time >= {NOW - 60 * SECOND - HORIZON_NS}" in query for query in queries if query.startswith("SHOW"))


def test_3x_needs_no_init_says_the_stub() -> None:
    with stub(_v3([]), TOKEN) as url:
        assert "makes databases at the first write" in init_store(url, {"DRIFTLINE_TOKEN": TOKEN}, 86400.0).sentence
        with pytest.raises(StoreError, match="refuses us"):
            init_store(url, {}, 86400.0)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b'{"results":[{"statement_id":0,"error":"something broke"}]}', "answers 200: something broke"),
        (200, b'{"error":"something broke"}', "answers 200: something broke"),
        (200, b"<html>", "not what InfluxDB sends"),
        (200, b'{"results": 7}', "not what InfluxDB sends"),
        (200, b'{"results":[{"series":[{"columns":["time"],"values":[[1,2]]}]}]}', "not what InfluxDB sends"),
        (200, b'{"results":[{"series":[{"columns":["x"],"values":[[1]]}]}]}', "not what InfluxDB sends"),
        (200, b"[" * 50_000, "not what InfluxDB sends"),
        (404, b"404 page not found", "has no /query"),
        (404, b'{"error":"database not found: fleet"}', "has no database 'fleet'; make it with `drift store init"),
        (500, b'{"error":"timeout"}', "answers 500: timeout"),
        (302, b"", "redirects (302), and redirects are not followed; give the final address"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(status: int, body: bytes, said: str) -> None:
    with stub(lambda *_: (status, body)) as url:
        store = open_store(url, {})
        with pytest.raises(StoreError) as caught:
            list(store.newest(0, EVER))
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
        store.close()


def test_a_chunk_without_end_is_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drift_collector.store.influxql.MAX_CHUNK_BYTES", 1_000_000)
    with stub(lambda *_: (200, b" " * 3_000_000)) as url, pytest.raises(StoreError, match="a line that is too long"):
        list(open_store(url, {}).newest(0, EVER))


@pytest.mark.parametrize("kind", ["influxd1", "influxd2"])
def test_a_real_server_reads_every_string_as_a_value(request: pytest.FixtureRequest, kind: str) -> None:
    server: InfluxQLServer = request.getfixturevalue(kind)
    for text in ("'", "\\", "\\'", "' OR 1=1 --", "a\nb", 'x"y', "\t", "é😀", "$name", "--", "/* */"):
        assert server.query(f'SELECT "x" FROM "drift" WHERE "instance" = {literal(text)}', server.new_database()) == []


def _store(server: InfluxQLServer, database: str, environ: dict[str, str]) -> Store:
    return open_store(f"influxdb://127.0.0.1:{server.port}/{database}", environ)


def test_2x_says_what_is_missing(influxd2: Influxd2) -> None:
    with pytest.raises(StoreError, match="has no database 'nowhere'; make it with `drift store init"):
        list(_store(influxd2, "nowhere", {"DRIFTLINE_TOKEN": influxd2.token}).newest(0, EVER))
    with pytest.raises(StoreError, match="refuses us"):
        list(_store(influxd2, "nowhere", {}).newest(0, EVER))


def test_a_fleet_wider_than_one_chunk_comes_whole(influxd1: Influxd1, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drift_collector.store.influxql.CHUNK_ROWS", 7)
    database = influxd1.new_database()
    influxd1.write([lines([report(f"i-{n}", time=NOW + n) for n in range(100)])], database)
    store = _store(influxd1, database, {})
    assert {each.instance for each in store.newest(NOW, EVER)} == {f"i-{n}" for n in range(100)}


def test_many_names_and_endless_ones_are_asked_in_queries_that_fit(influxd1: Influxd1) -> None:
    database = influxd1.new_database()
    names = [f"i-{n:04}-{'x' * 100}" for n in range(300)]
    influxd1.write([lines([report(name, time=NOW + 1) for name in names])], database)
    store = _store(influxd1, database, {})
    assert {each.instance for each in store.lookback(EVER, [*names, "y" * 60_000])} == set(names)


def test_what_others_wrote_of_another_type_does_no_harm(influxd1: Influxd1) -> None:
    database = influxd1.new_database()
    influxd1.write([f'drift,instance=i-1,host=h state=7i,seq="x",interval=1.5 {NOW}'], database)
    (found,) = _store(influxd1, database, {}).newest(NOW, NOW)
    assert (found.instance, found.state, found.seq, found.interval) == ("i-1", "", 0, 0)
