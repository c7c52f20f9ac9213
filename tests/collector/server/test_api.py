"""The JSON lines under `/api/v1`: what is asked wrongly, and what breaks in the middle."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from drift_agent.errors import StoreError
from drift_collector.server.collector import Collector, Options
from drift_collector.store.collector import CollectorStore
from drift_collector.store.sqlite import SqliteStore
from reports import NOW, report
from stores import lines
from waiting import PATIENCE


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with Collector(Options(str(tmp_path / "store.db"), port=0)) as collector:
        yield collector


@pytest.mark.parametrize(
    "query",
    ["reports", "reports?since=1", "reports?since=1&until=soon", "reports?since=1&until=9223372036854775808",
     "reports?since=" + "1" * 5_000 + "&until=1", "items?instance=i", "items?instance=i&report=\u0663x"],
)  # fmt: skip
def test_a_time_that_is_none_is_refused(collector: Collector, query: str) -> None:
    answer = requests.get(f"{collector.url}/api/v1/{query}", timeout=PATIENCE)
    assert answer.status_code == 400
    assert "must be a time in ns" in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"7", b"{}", b'{"before": "x"}', b'{"before": true}', b'{"before": 1, "instances": "i"}',
     b'{"before": 1, "instances": [1]}', b'{"before": 9223372036854775808}', b"[" * 100_000],
)  # fmt: skip
def test_a_lookback_that_is_none_is_refused(collector: Collector, body: bytes) -> None:
    answer = requests.post(f"{collector.url}/api/v1/lookback", data=body, timeout=PATIENCE)
    assert answer.status_code == 400
    assert "the body must be" in answer.json()["error"]


def test_every_line_is_json_and_the_last_counts_them(collector: Collector) -> None:
    sent = [report(f"i-{n}", time=NOW) for n in range(1_200)]
    assert requests.post(collector.url + "/write", data=lines(sent), timeout=PATIENCE).status_code == 204
    answer = requests.get(f"{collector.url}/api/v1/reports?since={NOW}&until={NOW}", timeout=PATIENCE)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    *documents, end = map(json.loads, answer.text.splitlines())
    assert {document["instance"] for document in documents} == {each.instance for each in sent}
    assert end == {"end": 1_200}


def test_a_store_that_fails_in_the_middle_is_told_to_the_reader(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def newest(*_: object) -> Iterator[object]:
        yield report("i-1")
        raise StoreError("store.db: the disk fails to read or write; check it")

    monkeypatch.setattr(SqliteStore, "newest", newest)
    with pytest.raises(StoreError, match=r"the collector says: store\.db: the disk fails"):
        list(CollectorStore(collector.url).newest(0, NOW))
