"""The real servers that other tests stand on."""

import pytest

from servers import Influxd1, Influxd2, OpenGemini, Server, VictoriaMetrics
from waiting import wait_until

LINE = "cpu,host=a usage_idle=99.5 1700000000000000000"
COUNT = "SELECT count(usage_idle) FROM cpu"


def gone(server: Server) -> bool:
    return not server.answers() and server.pid is None


def test_influxd1_keeps_port_and_data_over_a_restart(fresh_influxd1: Influxd1) -> None:
    server = fresh_influxd1
    database, url = server.new_database(), server.url
    server.write([LINE], database)
    server.stop()
    assert gone(server)
    server.start()
    assert server.url == url
    assert server.rows(COUNT, database) == [{"time": 0, "count": 1}]


def test_influxd1_keeps_what_it_acknowledged_before_a_crash(fresh_influxd1: Influxd1) -> None:
    database = fresh_influxd1.new_database()
    fresh_influxd1.write([LINE], database)
    fresh_influxd1.kill()
    fresh_influxd1.start()
    assert fresh_influxd1.rows(COUNT, database)[0]["count"] == 1


def test_each_test_has_a_database_of_its_own(influxd1: Influxd1) -> None:
    full, empty = influxd1.new_database(), influxd1.new_database()
    influxd1.write([LINE], full)
    assert influxd1.rows(COUNT, empty) == []


def test_influxd1_with_accounts_refuses_strangers(influxd1_auth: Influxd1) -> None:
    database = influxd1_auth.new_database()
    parameters = {"db": database}
    assert (
        influxd1_auth.request("POST", "/write", params=parameters, data=LINE, auth=("admin", "no")).status_code == 401
    )
    influxd1_auth.write([LINE], database)
    assert influxd1_auth.rows(COUNT, database)[0]["count"] == 1


def test_victoria_metrics_takes_line_protocol(victoria_metrics: VictoriaMetrics) -> None:
    answer = victoria_metrics.request("POST", "/api/v2/write?bucket=b&precision=ns", data="suite,host=a up=1i")
    assert answer.status_code == 204
    selector = '{__name__="suite_up"}'
    wait_until(lambda: bool(victoria_metrics.series(selector)), what="the written series")
    (series,) = victoria_metrics.series(selector)
    assert series["metric"]["host"] == "a"
    assert series["values"] == [1]


def test_influxd2_takes_v1_writes_and_queries_with_tokens(influxd2: Influxd2) -> None:
    database = influxd2.new_database()
    influxd2.write([LINE], database)
    assert influxd2.rows(COUNT, database)[0]["count"] == 1
    reader = {"Authorization": f"Token {influxd2.new_token('read')}"}
    assert influxd2.request("POST", f"/write?db={database}", data=LINE, headers=reader).status_code == 403


def test_opengemini_takes_v1_writes_and_queries(opengemini: OpenGemini) -> None:
    database = opengemini.new_database()
    opengemini.write([LINE], database)
    wait_until(lambda: [row["count"] for row in opengemini.rows(COUNT, database)] == [1], what="the written point")


@pytest.mark.parametrize("kind", [Influxd1, VictoriaMetrics])
def test_a_server_that_does_not_come_up_shows_its_log(kind: type[Server]) -> None:
    with pytest.raises(AssertionError, match="did not come up"):
        kind("/bin/false").__enter__()
