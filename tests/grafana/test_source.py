"""The provisioned data source: Basic authentication and POST, which every server takes."""

from typing import Any

from servers import Influxd1, Influxd2, InfluxQLServer, OpenGemini


def as_grafana_asks(server: InfluxQLServer, database: str, user: str, password: str) -> Any:
    """The status and answer of `SHOW MEASUREMENTS`, in the form of Grafana's `httpMode: POST`."""
    answer = server.request(
        "POST",
        "/query",
        params={"db": database, "epoch": "ms"},
        data={"q": "SHOW MEASUREMENTS"},
        auth=(user, password),
    )
    return answer.status_code, answer.json()["results"][0]["series"][0]["values"]


def prepared(server: InfluxQLServer) -> str:
    database = server.new_database()
    server.write(["cpu,host=a usage_idle=1 1700000000000000000"], database)
    return database


def test_without_accounts_the_name_may_be_empty(influxd1: Influxd1) -> None:
    assert as_grafana_asks(influxd1, prepared(influxd1), "", "") == (200, [["cpu"]])


def test_on_influxdb_1_a_user_who_may_read_is_enough(influxd1_auth: Influxd1) -> None:
    database = prepared(influxd1_auth)
    influxd1_auth.query("CREATE USER grafana WITH PASSWORD 'secret'")
    influxd1_auth.query(f'GRANT READ ON "{database}" TO grafana')
    assert as_grafana_asks(influxd1_auth, database, "grafana", "secret") == (200, [["cpu"]])


def test_on_influxdb_2_the_password_is_a_read_only_token(influxd2: Influxd2) -> None:
    database = influxd2.new_database()
    influxd2.write(["cpu,host=a usage_idle=1"], database)
    assert as_grafana_asks(influxd2, database, "grafana", influxd2.new_token("read")) == (200, [["cpu"]])


def test_on_opengemini_the_name_may_be_empty(opengemini: OpenGemini) -> None:
    assert as_grafana_asks(opengemini, prepared(opengemini), "", "")[0] == 200
