"""From an address to the store that stands there."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from drift_agent.errors import ConfigError
from drift_collector.paths import data_home
from drift_collector.store.base import Store


def default_database(environ: Mapping[str, str]) -> str:
    """Path of the operators' own store: `$XDG_DATA_HOME/driftline/store.db`."""
    return str(data_home(environ) / "store.db")


def open_store(url: str, environ: Mapping[str, str]) -> Store:
    """The store at `url` (empty: the operators' own), with credentials from `environ`.

    `sqlite:///PATH`, `http(s)://COLLECTOR` with DRIFTLINE_TOKEN, and `influxdb(s)://HOST:PORT/DATABASE[?org=]` with
    DRIFTLINE_TOKEN, or DRIFTLINE_USERNAME and DRIFTLINE_PASSWORD_FILE.

    Raises:
        ConfigError: no such kind of address, or one that lacks a part; a token that is none.
        StoreError: an embedded store that is not there or cannot be read; others are asked only when they are read.
    """
    if not url:
        url = f"sqlite:///{default_database(environ)}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError(f"--store {url}: is not an address; {_FORMS}") from None
    if parts.username or parts.password:
        raise ConfigError(
            "--store: must not hold credentials; set DRIFTLINE_TOKEN, or DRIFTLINE_USERNAME and _PASSWORD_FILE"
        )
    if parts.scheme == "sqlite" and not parts.netloc and url.startswith("sqlite:///"):
        from drift_collector.store.sqlite import SqliteStore

        return SqliteStore("/" + url.removeprefix("sqlite:///").lstrip("/"))
    if parts.scheme in ("http", "https") and parts.hostname:
        from drift_collector.store.collector import CollectorStore
        from drift_collector.store.http import token_of

        return CollectorStore(url, token_of(environ))
    if parts.scheme in ("influxdb", "influxdbs") and parts.hostname:
        from drift_collector.store.influx import InfluxStore
        from drift_collector.store.influxql import InfluxQL, open_http

        http, database, _ = open_http(url, environ)
        return InfluxStore(InfluxQL(http, database))
    raise ConfigError(f"--store {url}: is not known; {_FORMS}")


_FORMS: Final = "use sqlite:///PATH, http(s)://COLLECTOR or influxdb(s)://HOST:PORT/DATABASE"
