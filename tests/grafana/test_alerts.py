"""The provisioned alert rules: made by code, and each fires for what it is for, and nothing else, on real InfluxDB."""

import operator
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import pytest

import alerts
from drift_agent.drift.points import Summary, drift_point
from drift_agent.line_protocol import Encoder
from drift_agent.metrics.internal import INTERNAL_WRITE
from drift_agent.model import Point, State
from drift_agent.units import parse_duration
from servers import Influxd1, Influxd2, InfluxQLServer, OpenGemini
from waiting import wait_until

SECOND: Final = 10**9
MINUTE: Final = 60 * SECOND
RULES: Final = {rule["uid"]: rule for group in alerts.alerting()["groups"] for rule in group["rules"]}
Points: TypeAlias = list[tuple[int, float | None]]
Series: TypeAlias = tuple[dict[str, str], Points]
CONDITIONS: Final[Mapping[str, Callable[[float, float], bool]]] = {"gt": operator.gt, "lt": operator.lt}


def fires(server: InfluxQLServer, database: str, uid: str) -> list[dict[str, str]]:
    """The labels of what a rule fires for now, worked out from its steps as Grafana's expressions are written down."""
    ask, *expressions = RULES[uid]["data"]
    now = time.time_ns()
    series = asked(server, database, ask, now)
    name, holding = ask["refId"], ""
    numbers: list[float] = []
    for one in expressions:
        model = one["model"]
        assert (one["datasourceUid"], model["expression"]) == ("__expr__", name)
        name = one["refId"]
        if model["type"] == "resample":
            assert one["relativeTimeRange"] == ask["relativeTimeRange"]
            assert model["upsampler"] == "fillna"
            series = [(labels, last_window(points, model, one["relativeTimeRange"], now)) for labels, points in series]
        elif model["type"] == "reduce":
            assert model["reducer"] == "last"
            empty = model.get("settings", {}).get("replaceWithValue")
            numbers = [empty if points[-1][1] is None else points[-1][1] for _, points in series]
        else:
            assert model["type"] == "threshold"
            (condition,) = (condition["evaluator"] for condition in model["conditions"])
            holding = name
            kept = [CONDITIONS[condition["type"]](number, condition["params"][0]) for number in numbers]
    assert RULES[uid]["condition"] == holding
    return [labels for (labels, _), holds in zip(series, kept, strict=True) if holds]


def asked(server: InfluxQLServer, database: str, ask: Mapping[str, Any], now: int) -> list[Series]:
    """The series that the data source gives, labels and points."""
    since, until = (now // 10**6 - ask["relativeTimeRange"][end] * 1000 for end in ("from", "to"))
    query = ask["model"]["query"].replace("$timeFilter", f"time >= {since}ms and time <= {until}ms")
    assert "$" not in query
    found = server.query(query, database)
    assert all(len(one["columns"]) == 2 for one in found)
    return [(dict(one["tags"]), [(point[0], point[1]) for point in one["values"]]) for one in found]


def last_window(points: Points, model: Mapping[str, Any], span: Mapping[str, int], now: int) -> Points:
    """The last of the windows that begin at the begin of the range: it must end now."""
    window = parse_duration(model["window"])
    assert span["to"] == 0
    assert span["from"] % window == 0
    assert model["downsampler"] == "max"
    inside = [value for at, value in points if at > now - window * SECOND and value is not None]
    return [(now, max(inside, default=None))]


def machine(instance: str, *points: Point, image: str = "web@42") -> list[str]:
    encoder = Encoder({"host": f"host-{instance}", "image": image, "group": "default"})
    return [encoder.line(point) for point in points]


def reports(instance: str, *states: tuple[int, State], **counts: Any) -> list[str]:
    """Reports of one instance: each how many minutes ago, and its state."""
    now = time.time_ns()
    summaries = (
        (now - ago * MINUTE - 5 * SECOND, Summary(state, seq=number, **counts))
        for number, (ago, state) in enumerate(states, 1)
    )
    return machine(instance, *(drift_point(instance, summary, at) for at, summary in summaries))


def drops(instance: str, *counts: tuple[int, int], output: str = "influx:8086") -> list[str]:
    """What the spool of one instance dropped since its start: each how many minutes ago, and the count."""
    now = time.time_ns()
    rest = dict.fromkeys(INTERNAL_WRITE.fields, 0)
    tags = {"output": output, "version": "0.1.0"}
    points = (
        Point("internal_write", tags, {**rest, "metrics_dropped": count}, now - ago * MINUTE - 5 * SECOND)
        for ago, count in counts
    )
    return machine(instance, *points)


def fleet() -> Iterable[list[str]]:
    yield reports("i-clean", (2, "clean"), (1, "clean"), (0, "clean"))
    yield reports("i-drifted", (1, "clean"), (0, "drifted"), modified=1)
    yield reports("i-reverted", (0, "drifted"), reverted=2)
    yield reports("i-tainted", (0, "tainted"), logins=1)
    yield reports("i-silent", (90, "clean"), (60, "clean"), (31, "clean"))
    yield reports("i-killed", (31, "drifted"), added=1)
    yield reports("i-stopped", (40, "clean"), (30, "stopped"))
    yield reports("i-ended", (40, "clean"), (30, "terminated"))
    yield reports("i-long-gone", (60 * 24, "clean"))
    yield reports("i-new", (0, "pending"))
    yield drops("i-clean", (2, 7), (1, 7), (0, 7))
    yield drops("i-drifted", (2, 0), (1, 20), (0, 50))
    yield drops("i-tainted", (2, 9), (1, 0), (0, 0))
    yield drops("i-silent", (50, 0), (31, 80))


def feed(server: InfluxQLServer) -> str:
    database = server.new_database()
    server.write([line for lines in fleet() for line in lines], database)
    return database


def all_that_fires(server: InfluxQLServer, database: str) -> dict[str, list[str]]:
    return {
        uid: sorted(labels.get("instance", labels.get("host", "")) for labels in fires(server, database, uid))
        for uid in RULES
    }


EXPECTED: Final = {
    "driftline-drifted": ["i-drifted", "i-reverted", "i-tainted"],
    "driftline-silent": ["i-killed", "i-silent", "i-stopped"],
    "driftline-dropping": ["host-i-drifted"],
}


def test_the_committed_file_is_the_generated_one() -> None:
    """`python grafana/alerts.py` makes it; nobody edits it."""
    assert {path.name: path.read_text() for path in alerts.FOLDER.iterdir()} == alerts.documents()


def test_each_rule_fires_for_its_own_alone_on_influxdb_1(influxd1: Influxd1) -> None:
    assert all_that_fires(influxd1, feed(influxd1)) == EXPECTED


def test_each_rule_fires_for_its_own_alone_on_influxdb_2(influxd2: Influxd2) -> None:
    assert all_that_fires(influxd2, feed(influxd2)) == EXPECTED


def test_each_rule_fires_for_its_own_alone_on_opengemini(opengemini: OpenGemini) -> None:
    database = feed(opengemini)
    # What it has acknowledged shows bit by bit.
    wait_until(lambda: all_that_fires(opengemini, database) == EXPECTED, what="the alerts")


def test_an_alert_names_instance_host_image_and_group(influxd1: Influxd1) -> None:
    database = influxd1.new_database()
    influxd1.write(reports("i-1", (0, "drifted"), removed=1), database)
    assert fires(influxd1, database, "driftline-drifted") == [
        {"instance": "i-1", "host": "host-i-1", "image": "web@42", "group": "default"}
    ]


def test_without_any_report_only_the_rule_on_silence_is_told(influxd1: Influxd1) -> None:
    """No series is what Grafana calls no data."""
    database = influxd1.new_database()
    assert all_that_fires(influxd1, database) == {uid: [] for uid in RULES}
    assert {uid: rule["noDataState"] for uid, rule in RULES.items()} == {
        "driftline-drifted": "OK",
        "driftline-silent": "NoData",
        "driftline-dropping": "OK",
    }


@pytest.mark.parametrize("uid", RULES)
def test_every_label_and_step_that_a_text_names_is_there(uid: str) -> None:
    rule = RULES[uid]
    query = rule["data"][0]["model"]["query"]
    tags = query.rpartition("GROUP BY ")[2]
    text = rule["annotations"]["summary"]
    words = [part.split("}}")[0].strip() for part in text.split("{{")[1:]]
    steps = {step["refId"] for step in rule["data"]}
    for word in words:
        kind, _, name = word.partition(".")
        assert (kind == "$labels" and f'"{name}"' in tags) or (kind == "$values" and name in steps), word


def test_rules_ask_the_provisioned_data_source() -> None:
    asked = {rule["data"][0]["datasourceUid"] for rule in RULES.values()}
    source = (alerts.FOLDER.parent / "datasources" / "driftline.yaml").read_text()
    assert asked == {"driftline"}
    assert "uid: driftline\n" in source
