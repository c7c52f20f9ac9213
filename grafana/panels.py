"""The shapes that a dashboard is made of: targets, panels, variables, and their places. No data of ours."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

SOURCE: Final = {"type": "influxdb", "uid": "driftline"}
WIDTH: Final = 24


def series(query: str, alias: str = "") -> Json:
    """A target whose answer is drawn over time."""
    return {"query": query, "rawQuery": True, "resultFormat": "time_series", "alias": alias, "datasource": SOURCE}


def rows(query: str) -> Json:
    """A target whose answer is a table."""
    return {"query": query, "rawQuery": True, "resultFormat": "table", "datasource": SOURCE}


def panel(
    title: str, kind: str, targets: Sequence[Json], width: int, height: int, help_: str = "", **more: object
) -> Json:
    """A panel of `width` of the dashboard's 24 columns."""
    letters = "ABCDEFGH"
    return {
        "title": title,
        "description": help_,
        "type": kind,
        "datasource": SOURCE,
        "targets": [{"refId": letter, **target} for letter, target in zip(letters, targets, strict=False)],
        "gridPos": {"w": width, "h": height},
        **more,
    }


def graph(
    title: str, targets: Sequence[Json], unit: str, *, stack: bool = False, most: float | None = None, least: str = ""
) -> Json:
    """A graph over time, a third of the width. `most`: end of its axis. `least`: the shortest step."""
    custom: Json = {"fillOpacity": 30 if stack else 10, "showPoints": "never", "lineWidth": 1}
    if stack:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    defaults: Json = {"unit": unit, "min": 0, "custom": custom}
    if most is not None:
        defaults["max"] = most
    options = {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list", "placement": "bottom"}}
    config = {"defaults": defaults, "overrides": []}
    more = {"interval": least} if least else {}
    return panel(title, "timeseries", targets, 8, 8, fieldConfig=config, options=options, **more)


def stat(title: str, target: Json, field: str, unit: str = "none", mappings: Sequence[object] = ()) -> Json:
    """The last value of `field`, in large type."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": f"/^{field}$/", "values": False},
        "colorMode": "background" if mappings else "value",
        "graphMode": "none",
        "textMode": "value",
    }
    defaults = {"unit": unit, "mappings": mappings, "color": {"mode": "thresholds"}, "thresholds": plain_thresholds()}
    return panel(title, "stat", [target], 4, 8, options=options, fieldConfig={"defaults": defaults, "overrides": []})


def plain_thresholds() -> Json:
    """One step: no colour of its own."""
    return {"mode": "absolute", "steps": [{"color": "text", "value": None}]}


def override(field: str, **properties: object) -> Json:
    """What is different for one column of a table."""
    return {
        "matcher": {"id": "byName", "options": field},
        "properties": [{"id": name.replace("__", "."), "value": value} for name, value in properties.items()],
    }


def row(title: str) -> Json:
    """A heading."""
    return {"title": title, "type": "row", "collapsed": False, "panels": [], "gridPos": {"w": WIDTH, "h": 1}}


def place(panels: Sequence[Json]) -> list[Json]:
    """The panels with ids and places: from left to right, and down where a line is full."""
    x = y = line = 0
    placed = []
    for number, one in enumerate(panels, 1):
        size = one["gridPos"]
        if x + size["w"] > WIDTH:
            x, y, line = 0, y + line, 0
        placed.append({"id": number, **one, "gridPos": {**size, "x": x, "y": y}})
        x, line = x + size["w"], max(line, size["h"])
    return placed


def variable(name: str, label: str, query: str, **more: object) -> Json:
    """A variable asked for anew when the time range changes."""
    definition = {"query": query, "refId": "variable"}
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": definition,
        "refresh": 2,
        "sort": 7,
        **more,
    }
