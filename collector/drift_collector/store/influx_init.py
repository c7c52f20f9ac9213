"""`drift store init`: makes what an InfluxDB store needs, and is right however often it is run.

1.x: a database and its retention policy, by InfluxQL. 2.x: a bucket, and two tokens that are good for nothing else, by
its management API (influxdb-client). An engine that speaks InfluxQL alone (openGemini) is treated as 1.x; 3.x makes
its databases itself at the first write.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from drift_agent.errors import ConfigError, StoreError
from drift_agent.units import format_duration
from drift_collector.store.http import Http, text_of, token_of
from drift_collector.store.influxql import open_http, quoted

_DAY: Final = 86_400.0
MIN_RETENTION: Final = 3600.0
"""Shorter ones are refused by 1.x."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made, or found as wanted. Tokens are empty where the store needs none, or had them already."""

    sentence: str
    write_token: str = ""
    read_token: str = ""
    had_tokens: bool = False


def init_store(url: str, environ: Mapping[str, str], retention: float) -> Made:
    """Makes the database of `influxdb(s)://HOST:PORT/DATABASE[?org=]`; points live `retention` seconds, 0 for ever.

    Raises:
        ConfigError: 2.x needs an organisation and an operator's token.
        StoreError: the server is down, refuses us, or is none that is known.
    """
    if retention and retention < MIN_RETENTION:
        raise ConfigError("--retention: must be at least 1h, or 0s for ever")
    http, database, org = open_http(url, environ)
    try:
        version = _version(http)
        if version.startswith("3"):
            return Made(f"{http.name} is InfluxDB {version}: it makes databases at the first write, nothing to do")
        if version.startswith(("2", "v2")):
            from drift_collector.store.influx_init_v2 import init_v2  # its library costs a quarter of a second

            sentence, write, read = init_v2(http.base, database, org, token_of(environ), retention)
            return Made(sentence, write, read, had_tokens=not (write and read))
        return _init_v1(http, database, retention)
    finally:
        http.close()


def _version(http: Http) -> str:
    """What `/ping` says: `1.6.7`, `v2.7.12`, `3.9.6`; "" of an engine that names itself otherwise."""
    with http.open("GET", "/ping") as response:
        version = response.headers.get("X-Influxdb-Version", "")
        if response.status_code == 200:
            body = text_of(response)
        elif response.status_code == 204:
            body = ""
        elif response.status_code in (401, 403):
            raise StoreError(f"{http.name}: refuses us; set DRIFTLINE_TOKEN to a token that may make databases")
        else:
            raise StoreError(f"{http.name}: its /ping answers {response.status_code}; is it InfluxDB?")
    if version.startswith("driftline"):
        raise StoreError(f"{http.name}: is a Driftline collector, which needs no init; give agents its http:// address")
    if not version and body:
        try:
            version = str(json.loads(body)["version"])
        except (ValueError, KeyError, TypeError):
            raise StoreError(f"{http.name}: is no InfluxDB that is known") from None
    return version


def _init_v1(http: Http, database: str, retention: float) -> Made:
    duration = f"{round(retention)}s" if retention else "INF"
    name = quoted(database)
    _execute(http, f"CREATE DATABASE {name}")
    # The default policy is changed, not joined by another: a new default would hide what stands in the old one.
    policy = quoted(_default_policy(http, database) or "autogen")
    shard = "7d" if not retention or retention >= 180 * _DAY else "1d" if retention >= 2 * _DAY else "1h"
    _execute(http, f"ALTER RETENTION POLICY {policy} ON {name} DURATION {duration} SHARD DURATION {shard}")
    return Made(f"{http.name}: the database {database!r} is there, its points live {_life(retention)}")


def _life(retention: float) -> str:
    return format_duration(retention) if retention else "for ever"


def _default_policy(http: Http, database: str) -> str:
    for result in _execute(http, f"SHOW RETENTION POLICIES ON {quoted(database)}"):
        for series in result.get("series", ()):
            for values in series.get("values", ()):
                row = dict(zip(series["columns"], values, strict=True))
                if row.get("default"):
                    return str(row["name"])
    return ""


def _execute(http: Http, query: str) -> list[dict[str, Any]]:
    with http.open("POST", "/query", data={"q": query}) as response:
        text = text_of(response, 1 << 20)
    try:
        document = json.loads(text)
        results = list(document.get("results", ()))
        said = document.get("error") or next((part["error"] for part in results if "error" in part), "")
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise StoreError(f"{http.name}: its answer is not what InfluxDB sends; check the address") from None
    if response.status_code in (401, 403):
        raise StoreError(
            f"{http.name}: refuses us ({said}); set DRIFTLINE_USERNAME and DRIFTLINE_PASSWORD_FILE to an administrator"
        )
    if said or response.status_code != 200:
        raise StoreError(f"{http.name}: answers {response.status_code}: {str(said)[:300] or 'nothing'}")
    return results
