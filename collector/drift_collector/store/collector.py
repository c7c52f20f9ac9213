"""A collector as a store, asked over HTTP (`drift serve` on another machine)."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from drift_agent.errors import StoreError
from drift_collector.store.base import MAX_ITEMS, DriftItem, DriftReport
from drift_collector.store.http import Http, answered, lines_of, text_of
from drift_collector.store.wire import MAX_LINE_BYTES, read_items, read_reports


class CollectorStore:
    """Reads the store of the collector at `url` with a read token ("" where it demands none)."""

    def __init__(self, url: str, token: str = "") -> None:
        self._http = Http(url, {"Authorization": f"Bearer {token}"} if token else {})

    def newest(self, since: int, until: int) -> Iterator[DriftReport]:
        with self._lines("GET", "/api/v1/reports", params={"since": since, "until": until}) as lines:
            yield from read_reports(lines)

    def lookback(self, before: int, instances: Collection[str] | None = None) -> Iterator[DriftReport]:
        wanted = None if instances is None else list(instances)
        with self._lines("POST", "/api/v1/lookback", json={"before": before, "instances": wanted}) as lines:
            yield from read_reports(lines)

    def items(self, report: DriftReport) -> list[DriftItem]:
        params: dict[str, str | int] = {"instance": report.instance, "report": report.report}
        with self._lines("GET", "/api/v1/items", params=params) as lines:
            return list(read_items(lines))[:MAX_ITEMS]

    def close(self) -> None:
        self._http.close()

    @contextmanager
    def _lines(self, method: str, path: str, **options: Any) -> Iterator[Iterator[bytes]]:  # noqa: ANN401 (requests' own)
        with self._http.open(method, path, **options) as response:
            if response.status_code != 200:
                raise StoreError(self._refusal(response.status_code, text_of(response)))
            yield lines_of(response, MAX_LINE_BYTES)

    def _refusal(self, status: int, text: str) -> str:
        try:
            said = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError, RecursionError):
            said = ""
        if status in (401, 403):
            hint = "set DRIFTLINE_TOKEN to a read token (`drift token add --read`)"
            return f"{self._http.name}: {said or 'refuses us'}; {hint}"
        if status == 404:
            return f"{self._http.name}: is no Driftline collector; InfluxDB is influxdb://HOST:PORT/DATABASE"
        return answered(self._http.name, status, said or text[:200])
