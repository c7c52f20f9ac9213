"""`init_store`: what is there afterwards, on real servers, and what it says where it cannot."""

import time
from pathlib import Path

import pytest
import requests

from drift_agent.errors import ConfigError, StoreError
from drift_collector.server.collector import Collector, Options
from drift_collector.store import open_store
from drift_collector.store.influx_init import init_store
from reports import NOW, report
from servers import Influxd1, Influxd2, InfluxQLServer, free_port
from stores import lines
from waiting import PATIENCE

DAY = 86_400.0


def _url(server: InfluxQLServer, database: str, org: str = "") -> str:
    return f"influxdb://127.0.0.1:{server.port}/{database}" + (f"?org={org}" if org else "")


def test_on_1x_the_database_and_its_retention_are_made_and_made_again(influxd1: Influxd1) -> None:
    name = f'{influxd1.new_name()} "quoted"'
    for days in (90, 90, 2, 400):
        assert name in init_store(_url(influxd1, name.replace(" ", "%20")), {}, days * DAY).sentence
        (policy,) = influxd1.rows(f'SHOW RETENTION POLICIES ON "{name.replace(chr(34), chr(92) + chr(34))}"')
        assert (policy["default"], policy["duration"]) == (True, f"{days * 24}h0m0s")


def test_on_1x_what_was_stored_before_stays_in_sight(influxd1: Influxd1) -> None:
    database = influxd1.new_database()
    influxd1.write([lines([report("i-1", time=NOW)])], database)
    init_store(_url(influxd1, database), {}, 3650 * DAY)
    assert [each.instance for each in open_store(_url(influxd1, database), {}).newest(NOW, NOW)] == ["i-1"]


def test_on_1x_a_retention_of_for_ever_and_of_an_hour(influxd1: Influxd1) -> None:
    database = influxd1.new_database()
    for seconds, duration in ((0.0, "0s"), (3600.0, "1h0m0s")):
        init_store(_url(influxd1, database), {}, seconds)
        (policy,) = influxd1.rows(f'SHOW RETENTION POLICIES ON "{database}"')
        assert policy["duration"] == duration


def test_on_1x_an_administrator_is_needed(influxd1_auth: Influxd1, tmp_path: Path) -> None:
    url = _url(influxd1_auth, "made")
    with pytest.raises(StoreError, match="DRIFTLINE_USERNAME"):
        init_store(url, {}, DAY * 7)
    secret = tmp_path / "password"
    secret.write_text(influxd1_auth.password + "\n")
    environ = {"DRIFTLINE_USERNAME": influxd1_auth.username, "DRIFTLINE_PASSWORD_FILE": str(secret)}
    init_store(url, environ, DAY * 7)
    assert list(open_store(url, environ).newest(0, NOW)) == []
    with pytest.raises(StoreError, match="refuses us"):
        list(open_store(url, {}).newest(0, NOW))


def test_on_2x_the_bucket_and_two_tokens_that_can_nothing_else(influxd2: Influxd2) -> None:
    now = time.time_ns()  # within the retention
    name = influxd2.new_name()
    url = _url(influxd2, name, influxd2.org)
    environ = {"DRIFTLINE_TOKEN": influxd2.token}
    made = init_store(url, environ, 90 * DAY)
    assert made.write_token
    assert made.read_token
    again = init_store(url, environ, 30 * DAY)
    assert (again.write_token, again.read_token, again.had_tokens) == ("", "", True)

    def write(token: str) -> int:
        body = lines([report("i-1", time=now)])
        headers = {"Authorization": f"Token {token}"}
        return requests.post(
            f"{influxd2.url}/write?db={name}", data=body, headers=headers, timeout=PATIENCE
        ).status_code

    assert write(made.read_token) >= 400
    assert write(made.write_token) == 204
    store = open_store(url, {"DRIFTLINE_TOKEN": made.read_token})
    assert [each.instance for each in store.newest(now, now)] == ["i-1"]
    with pytest.raises(StoreError):
        list(open_store(url, {"DRIFTLINE_TOKEN": made.write_token}).newest(now, now))
    other = open_store(_url(influxd2, influxd2.bucket), {"DRIFTLINE_TOKEN": made.read_token})
    with pytest.raises(StoreError):
        list(other.newest(now, now))


def test_on_2x_what_is_missing_is_asked_for(influxd2: Influxd2) -> None:
    with pytest.raises(ConfigError, match=r"\?org=NAME"):
        init_store(_url(influxd2, "b"), {"DRIFTLINE_TOKEN": influxd2.token}, DAY)
    with pytest.raises(ConfigError, match="DRIFTLINE_TOKEN"):
        init_store(_url(influxd2, "b", influxd2.org), {}, DAY)
    with pytest.raises(StoreError, match="refuses us"):
        init_store(_url(influxd2, "b", influxd2.org), {"DRIFTLINE_TOKEN": "wrong"}, DAY)
    with pytest.raises(StoreError, match="no organisation 'nobody'"):
        init_store(_url(influxd2, "b", "nobody"), {"DRIFTLINE_TOKEN": influxd2.token}, DAY)


def test_a_server_that_is_down_and_one_that_is_a_collector_say_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be reached: Connection refused"):
        init_store(f"influxdb://127.0.0.1:{free_port()}/x", {}, DAY)
    with (
        Collector(Options(str(tmp_path / "s.db"), port=0)) as collector,
        pytest.raises(StoreError, match="is a Driftline collector"),
    ):
        init_store(collector.url.replace("http", "influxdb") + "/x", {}, DAY)
