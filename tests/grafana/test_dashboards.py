"""The provisioned dashboard: made by code, and every one of its queries answers with data on a real InfluxDB."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import dashboards
from drift_agent.drift.points import Summary, drift_point, item_points
from drift_agent.line_protocol import Encoder, parse
from drift_agent.model import Change, Point
from panels import WIDTH
from servers import Influxd1, Influxd2, InfluxQLServer, OpenGemini
from waiting import wait_until

HOST: Final = "web-1.example"
MACHINE: Final = Path(__file__).parents[1] / "data" / "proc" / "debian-12-vm" / "golden.lp"
SECOND: Final = 10**9
DASHBOARD: Final = dashboards.fleet_dashboard()


def queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard with what asks it."""
    for variable in DASHBOARD["templating"]["list"]:
        yield f"variable {variable['name']}", variable["query"]["query"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["query"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", target["query"]


def filled(query: str) -> str:
    """The query as Grafana sends it, for the host of the test over the last hour."""
    values = {
        "$timeFilter": "time >= now() - 1h AND time <= now() + 1m",
        "$__interval": "1m",
        "${group:regex}": ".*",
        "${host:regex}": re.escape(HOST),
    }
    for name, value in values.items():
        query = query.replace(name, value)
    assert "$" not in query.replace("$/", ""), query
    return query


def machine_points(now: int) -> list[Point]:
    """What an agent ships of one captured machine, in two samples a minute apart."""
    captured = [parse(line) for line in MACHINE.read_text().splitlines()]
    return [
        Point(point.measurement, point.tags, point.fields, now - age * SECOND)
        for age in (120, 60)
        for point in captured
    ]


def drift_points(now: int) -> list[Point]:
    report = now - 30 * SECOND
    change = Change(
        "file", "/etc/motd", "modified", expected={"hash": "a"}, actual={"hash": "b"}, first_seen=report - SECOND
    )
    clean = Summary("clean", seq=1)
    drifted = Summary("drifted", seq=2, modified=1, report=report)
    return [
        drift_point("i-1", clean, now - 120 * SECOND),
        *item_points("i-1", [change], report),
        drift_point("i-1", drifted, report + SECOND),
    ]


def feed(server: InfluxQLServer) -> str:
    database = server.new_database()
    now = time.time_ns()
    drifted = Encoder({"host": HOST, "image": "web@42", "group": "default"})
    clean = Encoder({"host": "web-2", "image": "web@42", "group": "default"})
    lines = [drifted.line(point) for point in (*machine_points(now), *drift_points(now))]
    lines.append(clean.line(drift_point("i-2", Summary("clean", seq=1), now - 20 * SECOND)))
    server.write(lines, database)
    return database


def without_data(server: InfluxQLServer, database: str) -> list[str]:
    return [what for what, query in queries() if not server.rows(filled(query), database)]


def test_the_committed_files_are_the_generated_ones() -> None:
    """`python grafana/dashboards.py` makes them; nobody edits them."""
    committed = {path.name: path.read_text() for path in dashboards.FOLDER.glob("*.json")}
    assert committed == dashboards.documents()


def test_every_query_has_data_on_influxdb_1(influxd1: Influxd1) -> None:
    assert without_data(influxd1, feed(influxd1)) == []


def test_every_query_has_data_on_influxdb_2(influxd2: Influxd2) -> None:
    assert without_data(influxd2, feed(influxd2)) == []


def test_every_query_has_data_on_opengemini(opengemini: OpenGemini) -> None:
    database = feed(opengemini)
    # What it has acknowledged shows bit by bit.
    wait_until(lambda: without_data(opengemini, database) == [], what="data for every query")


def test_drifted_instances_alone_are_listed(influxd1: Influxd1) -> None:
    database = feed(influxd1)
    (table,) = [query for what, query in queries() if what.startswith("Drifted instances")]
    (row,) = influxd1.rows(filled(table), database)
    assert (row["instance"], row["host"], row["state"], row["modified"]) == ("i-1", HOST, "drifted", 1)


def test_the_host_variable_lists_who_reported_in_the_time_range(influxd1: Influxd1) -> None:
    """A host that has gone is not offered, although its data is still there."""
    database = feed(influxd1)
    gone = Encoder({"host": "gone", "image": "web@42", "group": "default"})
    yesterday = time.time_ns() - 86400 * SECOND
    influxd1.write([gone.line(drift_point("i-0", Summary("clean"), yesterday))], database)
    (hosts,) = [query for what, query in queries() if what == "variable host"]
    assert {row["host"] for row in influxd1.rows(filled(hosts), database)} == {HOST, "web-2"}


def test_an_item_is_annotated_when_it_is_new_and_not_at_each_later_report(influxd1: Influxd1) -> None:
    database = feed(influxd1)
    report = time.time_ns()
    old = Change("file", "/etc/issue", "removed", first_seen=report - 900 * SECOND)
    again = Encoder({"host": HOST, "image": "web@42", "group": "default"})
    influxd1.write([again.line(point) for point in item_points("i-1", [old], report)], database)
    (annotation,) = [query for what, query in queries() if what.startswith("annotation")]
    assert [row["key"] for row in influxd1.rows(filled(annotation), database)] == ["/etc/motd"]


def test_a_query_cannot_ask_for_what_no_agent_ships() -> None:
    with pytest.raises(ValueError, match="mem has no used_percents"):
        dashboards.influxql("mem", 'SELECT mean("used_percents") FROM "mem"')


def test_panels_fill_the_width_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= WIDTH
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_asks_the_provisioned_data_source() -> None:
    provisioning = dashboards.FOLDER.parent
    source = (provisioning / "datasources" / "driftline.yaml").read_text()
    uids = {one["uid"] for one in find_sources(json.loads((dashboards.FOLDER / "driftline.json").read_text()))}
    assert uids == {"driftline"}
    assert "uid: driftline\n" in source


def find_sources(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if "datasource" in value:
            yield value["datasource"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from find_sources(each)
