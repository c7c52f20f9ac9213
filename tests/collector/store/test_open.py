"""From an address to a store."""

from pathlib import Path

import pytest

from drift_agent.errors import ConfigError, StoreError
from drift_collector.store import open_store
from drift_collector.store.collector import CollectorStore
from drift_collector.store.influx import InfluxStore
from drift_collector.store.open import default_database
from drift_collector.store.sqlite import SqliteStore
from drift_collector.store.sqlite_write import SqliteWriter


def test_each_form_leads_to_its_store(tmp_path: Path) -> None:
    path = tmp_path / "a b?#.db"
    SqliteWriter(str(path)).close()
    for url, kind in (
        (f"sqlite://{path}", SqliteStore),
        (f"sqlite:///{path}", SqliteStore),
        ("http://collector.example", CollectorStore),
        ("https://collector.example:8087", CollectorStore),
        ("influxdb://db.example:8086/driftline", InfluxStore),
        ("influxdbs://db.example/driftline?org=us", InfluxStore),
    ):
        store = open_store(url, {})
        assert isinstance(store, kind)
        store.close()


def test_without_an_address_it_is_the_operators_own(tmp_path: Path) -> None:
    environ = {"XDG_DATA_HOME": str(tmp_path)}
    assert default_database(environ) == f"{tmp_path}/driftline/store.db"
    assert default_database({"HOME": "/home/o"}) == "/home/o/.local/share/driftline/store.db"
    with pytest.raises(StoreError, match="no store yet"):
        open_store("", environ)
    SqliteWriter(default_database(environ)).close()
    open_store("", environ).close()


@pytest.mark.parametrize(
    "url",
    ["store.db", "/var/lib/store.db", "sqlite:store.db", "sqlite://host/store.db", "ftp://x", "http://", "influxdb://",
     "influxdb:///db", "http://host:port", "http://[::1", "mysql://x/y"],
)  # fmt: skip
def test_another_address_is_told_the_forms(url: str) -> None:
    with pytest.raises(ConfigError, match=r"use sqlite:///PATH, http\(s\)://COLLECTOR or influxdb\(s\)://"):
        open_store(url, {})


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="must not hold credentials") as caught:
        open_store("influxdb://me:secret@db.example/driftline", {})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "influxdb://127.0.0.1:9/driftline"])
@pytest.mark.parametrize(
    "token", ["sec\nret", "secret\x00", "s\u00e9cret\u20ac", "sec\r\nX-Other: ret", "\udcffsecret"]
)
def test_a_token_that_no_header_takes_is_refused_and_not_repeated(url: str, token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(url, {"DRIFTLINE_TOKEN": token})
    assert str(caught.value) == "DRIFTLINE_TOKEN: a token must be one line of printable ASCII"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "influxdb://127.0.0.1:9/driftline"])
def test_a_token_read_from_a_file_with_its_newline_is_that_token(url: str) -> None:
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        list(open_store(url, {"DRIFTLINE_TOKEN": " secret\n"}).newest(0, 1))
    assert "secret" not in str(caught.value)


def test_a_password_is_sent_as_utf_8(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s\u00e9cret\u20ac\n")
    environ = {"DRIFTLINE_USERNAME": "m\u00fc", "DRIFTLINE_PASSWORD_FILE": str(tmp_path / "password")}
    with pytest.raises(StoreError, match="cannot be reached"):
        list(open_store("influxdb://127.0.0.1:9/driftline", environ).newest(0, 1))


def test_influxdb_needs_a_database_and_whole_credentials(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no database"):
        open_store("influxdb://db.example:8086", {})
    with pytest.raises(ConfigError, match="DRIFTLINE_PASSWORD_FILE is not"):
        open_store("influxdb://db.example:8086/x", {"DRIFTLINE_USERNAME": "u"})
    environ = {"DRIFTLINE_USERNAME": "u", "DRIFTLINE_PASSWORD_FILE": str(tmp_path / "none")}
    with pytest.raises(ConfigError, match="the secret cannot be read"):
        open_store("influxdb://db.example:8086/x", environ)
