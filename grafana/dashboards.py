"""Makes the dashboards that Grafana is provisioned with: `python grafana/dashboards.py` writes them anew.

Every name in double quotes in a query is checked against the schema, so a panel cannot ask for what no agent ships.
InfluxQL alone, in the forms that InfluxDB 1.x, 2.x (through its `/query`) and openGemini answer alike. Variables ask
over the dashboard's time range: `SHOW TAG VALUES` lists dead hosts for as long as their data is kept.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from drift_agent.metrics import MEASUREMENTS
from drift_agent.schema import DRIFT, DRIFT_ITEM, GLOBAL_TAGS, Measurement
from panels import SOURCE, WIDTH, Json, graph, override, panel, place, row, rows, series, stat, variable

FOLDER: Final = Path(__file__).parent / "provisioning" / "dashboards"
IN_GROUP: Final = '$timeFilter AND "group" =~ /^${group:regex}$/'
ON_HOST: Final = '$timeFilter AND "host" =~ /^${host:regex}$/'
ALL: Final = {"text": ["All"], "value": ["$__all"]}
COUNTS: Final = ("added", "removed", "modified", "reverted", "logins")
FRESH_SECONDS: Final = 60
"""An item first seen at most so long before its report is new: its later reports make no annotation."""

STATE_COLOURS: Final = {
    "clean": "green",
    "drifted": "red",
    "tainted": "purple",
    "unverified": "orange",
    "pending": "blue",
    "stopped": "dark-yellow",
    "terminated": "gray",
}
STATE_MAPPINGS: Final = [
    {
        "type": "value",
        "options": {
            state: {"text": state.upper(), "color": colour, "index": index}
            for index, (state, colour) in enumerate(STATE_COLOURS.items())
        },
    }
]
TABLES: Final[Mapping[str, Measurement]] = {**MEASUREMENTS, DRIFT.name: DRIFT, DRIFT_ITEM.name: DRIFT_ITEM}


def influxql(measurement: str, text: str) -> str:
    """`text` on one line, if the agent ships every name it quotes.

    Raises:
        ValueError: a quoted name is neither a tag or field of the measurement, nor an alias of the query itself.
    """
    declared = TABLES[measurement]
    aliases = re.findall(r'AS "(\w+)"', text)
    known = {measurement, *declared.tags, *declared.fields, *GLOBAL_TAGS, *aliases}
    unknown = set(re.findall(r'"([^"]*)"', text)) - known
    if unknown:
        raise ValueError(f"{measurement} has no {', '.join(sorted(unknown))}: {text}")
    return " ".join(text.split())


def names(columns: Iterable[str]) -> str:
    """The columns, quoted: `group` and `policy` are words of InfluxQL."""
    return ", ".join(f'"{column}"' for column in columns)


# ------------------------------------------------------------------------------------------------ the fleet


def newest(columns: Sequence[str], tags: Sequence[str]) -> str:
    """Of each instance its newest report: `state`, and `columns` of the same point."""
    return f"""SELECT last("state") AS "state"{"".join(f', "{name}"' for name in columns)} FROM "drift"
        WHERE {IN_GROUP} GROUP BY {names(tags)}"""


def fleet_panels() -> list[Json]:
    return [
        row("Fleet"),
        states_pie(),
        {**graph("Instances that report, and that differ", fleet_over_time(), "none", least="3m"),
         "gridPos": {"w": 18, "h": 8}},
        drifted_table(),
    ]  # fmt: skip


def states_pie() -> Json:
    states = influxql("drift", f'SELECT "state" FROM ({newest((), ("instance",))})')
    count_by_state = {
        "id": "groupBy",
        "options": {
            "fields": {
                "state": {"operation": "groupby", "aggregations": []},
                "Time": {"operation": "aggregate", "aggregations": ["count"]},
            }
        },
    }
    return panel(
        "States",
        "piechart",
        [rows(states)],
        6,
        8,
        "What each agent said last in this time range. Whether it is still heard, and whether its word can be"
        " believed, is for `drift report`.",
        transformations=[count_by_state],
        options={
            "reduceOptions": {"values": True, "fields": "/^Time \\(count\\)$/", "calcs": []},
            "legend": {"displayMode": "table", "placement": "right", "values": ["value"]},
        },
        fieldConfig={"defaults": {"mappings": STATE_MAPPINGS}, "overrides": []},
    )


def drifted_table() -> Json:
    tags = ("instance", "host", "image", "group")
    drifted = influxql(
        "drift",
        f"""SELECT {names((*tags, "state", *COUNTS))} FROM ({newest(COUNTS, tags)})
            WHERE "state" = 'drifted' OR "state" = 'tainted'""",
    )
    link = {"title": "Show this host", "url": "/d/driftline?var-host=${__value.raw}&${__url_time_range}"}
    columns = [
        override("host", links=[link]),
        override("state", mappings=STATE_MAPPINGS, custom__cellOptions={"type": "color-text"}),
        override("Time", displayName="last report"),
    ]
    return panel(
        "Drifted instances",
        "table",
        [rows(drifted)],
        WIDTH,
        8,
        "Instances whose last report says drifted or tainted.",
        fieldConfig={"defaults": {}, "overrides": columns},
    )


def fleet_over_time() -> list[Json]:
    items = " + ".join(f'max("{name}")' for name in COUNTS)
    each = f"""SELECT {items} AS "items" FROM "drift" WHERE {IN_GROUP}
        GROUP BY time($__interval), "instance" fill(none)"""

    def count(name: str, condition: str) -> Json:
        return series(
            influxql(
                "drift",
                f"""SELECT count("items") AS "{name}" FROM ({each}) WHERE $timeFilter{condition}
                    GROUP BY time($__interval) fill(0)""",
            ),
            name,
        )

    return [count("report", ""), count("differ", ' AND "items" > 0')]


# ------------------------------------------------------------------------------------------------ one host


def over_time(measurement: str, values: Mapping[str, str], tags: Sequence[str] = (), where: str = "") -> list[Json]:
    """A target for each of `values`: its legend, and what is selected."""
    condition = f" AND {where}" if where else ""
    group = "".join(f', "{tag}"' for tag in tags)
    return [
        series(
            influxql(
                measurement,
                f"""SELECT {value} AS "value" FROM "{measurement}" WHERE {ON_HOST}{condition}
                    GROUP BY time($__interval){group} fill(none)""",
            ),
            legend,
        )
        for legend, value in values.items()
    ]


def means(fields: str, prefix: str = "") -> dict[str, str]:
    """Legend and mean of each field."""
    return {name.removeprefix(prefix): f'mean("{name}")' for name in fields.split()}


def rates(measurement: str, tag: str, counters: Mapping[str, str]) -> list[Json]:
    """A target for each counter, by its legend: its rate per second. A restart of the counter leaves a gap, no dip.

    The derivative stands outside because openGemini answers that of an aggregate with nothing.
    """
    return [
        series(
            influxql(
                measurement,
                f"""SELECT non_negative_derivative("total", 1s) AS "value" FROM (
                        SELECT max("{counter}") AS "total" FROM "{measurement}" WHERE {ON_HOST}
                        GROUP BY time($__interval), "{tag}" fill(none)
                    ) WHERE $timeFilter GROUP BY "{tag}"
                """,
            ),
            f"$tag_{tag} {legend}",
        )
        for legend, counter in counters.items()
    ]


def host_panels() -> list[Json]:
    state = influxql("drift", f'SELECT last("state") AS "state" FROM "drift" WHERE {ON_HOST}')
    uptime = influxql("system", f'SELECT last("uptime") AS "uptime" FROM "system" WHERE {ON_HOST}')
    cpu = "usage_user usage_system usage_nice usage_iowait usage_irq usage_softirq usage_steal"
    return [
        row("Host ${host}"),
        stat("State", rows(state), "state", mappings=STATE_MAPPINGS),
        stat("Uptime", rows(uptime), "uptime", "s"),
        items_table(),
        graph("CPU", over_time("cpu", means(cpu, "usage_"), where="\"cpu\" = 'cpu-total'"), "percent",
              stack=True, most=100),
        graph("Load", over_time("system", means("load1 load5 load15")), "short"),
        graph("Memory", over_time("mem", means("used cached buffered free")), "bytes"),
        graph("Disk used", over_time("disk", {"$tag_path": 'max("used_percent")'}, ["path"]), "percent", most=100),
        graph("Disk traffic", rates("diskio", "name", {"read": "read_bytes", "written": "write_bytes"}), "Bps"),
        graph("Network", rates("net", "interface", {"in": "bytes_recv", "out": "bytes_sent"}), "Bps"),
    ]  # fmt: skip


def items_table() -> Json:
    shown = ("change", "kind", "key", "severity", "expected", "actual")
    query = influxql(
        "drift_item",
        f'SELECT {names(shown)} FROM "drift_item" WHERE {ON_HOST} ORDER BY time DESC LIMIT 1000',
    )
    newest_of_each = {
        "id": "groupBy",
        "options": {
            "fields": {
                **{name: {"operation": "groupby", "aggregations": []} for name in ("change", "kind", "key")},
                **{
                    name: {"operation": "aggregate", "aggregations": ["first"]}
                    for name in ("severity", "expected", "actual", "Time")
                },
            }
        },
    }
    return panel(
        "Items that differed in this time range",
        "table",
        [rows(query)],
        16,
        8,
        "Expected and actual hold the attributes that differ. What still differs now: `drift show`.",
        transformations=[newest_of_each],
        fieldConfig={"defaults": {}, "overrides": [override("Time (first)", displayName="last reported")]},
    )


def drift_annotations() -> Json:
    query = influxql(
        "drift_item",
        f"""SELECT "key", "kind", "change" FROM "drift_item"
            WHERE {ON_HOST} AND "report" - "first_seen" < {FRESH_SECONDS * 10**9}""",
    )
    return {
        "name": "Drift",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "red",
        "query": query,
        "textColumn": "key",
        "tagsColumn": "kind,change",
        "titleColumn": "",
        "timeEndColumn": "",
    }


def fleet_dashboard() -> Json:
    """The one dashboard: the fleet above, one host below."""
    groups = influxql(
        "drift", 'SELECT "group" FROM (SELECT last("seq") FROM "drift" WHERE $timeFilter GROUP BY "group")'
    )
    hosts = influxql("drift", f'SELECT "host" FROM (SELECT last("seq") FROM "drift" WHERE {IN_GROUP} GROUP BY "host")')
    return {
        "uid": "driftline",
        "title": "Driftline",
        "tags": ["driftline"],
        "description": "Which servers are still what was baked, and how they are doing.",
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [
                variable("group", "Group", groups, includeAll=True, allValue=".*", multi=True, current=ALL),
                variable("host", "Host", hosts),
            ]
        },
        "annotations": {"list": [drift_annotations()]},
        "panels": place([*fleet_panels(), *host_panels()]),
    }


def documents() -> dict[str, str]:
    """The text of each generated file by its name in `FOLDER`."""
    return {"driftline.json": json.dumps(fleet_dashboard(), indent=2) + "\n"}


if __name__ == "__main__":
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
