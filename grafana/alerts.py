"""Makes the alert rules that Grafana is provisioned with: `python grafana/alerts.py` writes them anew.

The file is in the format of Grafana's alerting provisioning (JSON is one of its two forms). Each rule asks InfluxDB
for series of numbers, reduces each to its last one and compares that: a series is an alert of its own, and its tags are
the alert's labels. A rule must not fire for a machine that ended in an orderly way, nor for one that was never there.
"""

import json
from pathlib import Path
from typing import Final

from dashboards import COUNTS, influxql, names
from panels import SOURCE, Json

FOLDER: Final = Path(__file__).parent / "provisioning" / "alerting"
EXPRESSION: Final = {"type": "__expr__", "uid": "__expr__"}
MINUTE: Final = 60

HEARD_SECONDS: Final = 15 * MINUTE
"""How far back a report counts: several of any usual `report_interval`."""

SILENT: Final = "15m"
"""Who has not reported for so long is silent."""

REMEMBERED_SECONDS: Final = 6 * 3600
"""How long a machine that went away without a word is missed."""


def drifted() -> Json:
    """Every instance whose last report lists items, or logins."""
    tags = names(("instance", "host", "image", "group"))
    items = " + ".join(f'"{name}"' for name in COUNTS)
    query = influxql(
        "drift",
        f"""SELECT last("items") AS "items" FROM (
                SELECT {items} AS "items" FROM "drift" WHERE $timeFilter GROUP BY {tags}
            ) WHERE $timeFilter GROUP BY {tags}""",
    )
    return rule(
        "driftline-drifted",
        "An instance is not what was baked",
        query,
        HEARD_SECONDS,
        ("gt", 0),
        "{{ $labels.host }} ({{ $labels.instance }}, image {{ $labels.image }}) lists {{ $values.last }} items that"
        " differ, did differ, or logins: drift show {{ $labels.instance }}",
        no_data="OK",  # nobody reports: that is for the next rule
    )


def silent() -> Json:
    """Every instance that reported before, did not say that its machine ends, and reports no longer.

    Of each the newest report is asked for, at its own time; it is put into windows of `SILENT`, the last of which ends
    now, and the last window is 0 where it is empty. A report's number is 1 at least.
    """
    tags = names(("instance", "image"))
    query = influxql(
        "drift",
        f"""SELECT "seq" FROM (
                SELECT last("state") AS "state", "seq" FROM "drift" WHERE $timeFilter GROUP BY {tags}
            ) WHERE $timeFilter AND "state" <> 'terminated' GROUP BY {tags}""",
    )
    return rule(
        "driftline-silent",
        "An agent went silent",
        query,
        REMEMBERED_SECONDS,
        ("lt", 1),
        f"{{{{ $labels.instance }}}} (image {{{{ $labels.image }}}}) has not reported for {SILENT} or longer,"
        " and did not say that its machine ends",
        no_data="NoData",  # the whole fleet, or the store
        window=SILENT,
    )


def dropping() -> Json:
    """Every output for which an agent's spool had to drop points: the server is away for too long, or too slow."""
    tags = names(("host", "output"))
    query = influxql(
        "internal_write",
        f"""SELECT sum("dropped") AS "dropped" FROM (
                SELECT non_negative_difference("metrics_dropped") AS "dropped" FROM "internal_write"
                WHERE $timeFilter GROUP BY {tags}
            ) WHERE $timeFilter GROUP BY {tags}""",
    )
    return rule(
        "driftline-dropping",
        "A spool is full and drops points",
        query,
        HEARD_SECONDS,
        ("gt", 0),
        "{{ $labels.host }} dropped {{ $values.last }} points that were meant for {{ $labels.output }}:"
        " drift-agent status says since when it is away",
        no_data="OK",
    )


def rule(
    uid: str,
    title: str,
    query: str,
    seconds: int,
    condition: tuple[str, float],
    summary: str,
    *,
    no_data: str,
    window: str = "",
) -> Json:
    """A rule on the last value of each series that `query` gives over the last `seconds`.

    With `window` (a whole part of `seconds`) on the last window of each: its largest value, 0 where it is empty.
    """
    ask = {"query": query, "rawQuery": True, "resultFormat": "time_series", "datasource": SOURCE}
    steps = [step("series", ask, seconds)]
    last: Json = {"type": "reduce", "expression": "series", "reducer": "last"}
    if window:
        cut = {
            "type": "resample",
            "expression": "series",
            "window": window,
            "downsampler": "max",
            "upsampler": "fillna",
        }
        steps.append(step("windows", cut, seconds))
        last |= {"expression": "windows", "settings": {"mode": "replaceNN", "replaceWithValue": 0}}
    comparison, limit = condition
    evaluator = {"type": comparison, "params": [limit]}
    compare = {"type": "threshold", "expression": "last", "conditions": [{"evaluator": evaluator}]}
    return {
        "uid": uid,
        "title": title,
        "condition": "fires",
        "data": [*steps, step("last", last), step("fires", compare)],
        "noDataState": no_data,
        "execErrState": "Error",
        "for": "0s",
        "annotations": {"summary": summary},
        "labels": {"source": "driftline"},
    }


def step(name: str, model: Json, seconds: int = 0) -> Json:
    """One step of a rule, a question to the data source or an expression; `name` is for those that come after it."""
    whole = {"refId": name, "intervalMs": 10_000, "maxDataPoints": 43_200, "datasource": EXPRESSION, **model}
    return {
        "refId": name,
        "relativeTimeRange": {"from": seconds, "to": 0},
        "datasourceUid": whole["datasource"]["uid"],
        "model": whole,
    }


def group(name: str, interval: str, *rules: Json) -> Json:
    """Rules that are asked together, so often."""
    return {"orgId": 1, "name": name, "folder": "Driftline", "interval": interval, "rules": list(rules)}


def alerting() -> Json:
    """The whole file."""
    groups = [group("Drift", "1m", drifted()), group("Agents", "5m", silent(), dropping())]
    return {"apiVersion": 1, "groups": groups}


def documents() -> dict[str, str]:
    """The text of each generated file by its name in `FOLDER`."""
    return {"driftline.json": json.dumps(alerting(), indent=2) + "\n"}


if __name__ == "__main__":
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
