"""The same fleet has the same report, wherever it is kept."""

from pathlib import Path
from typing import Any

from drift_collector.fleet.read import read_reports
from drift_collector.fleet.systemic import with_systemic
from drift_collector.fleet.verdict import judge
from drift_collector.report.document import report_document
from drift_collector.server.collector import Collector, Options
from drift_collector.store import open_store
from drift_collector.store.base import DriftReport
from reports import NOW, SECOND, TRUSTED, drifted, item, report
from servers import Influxd1
from stores import fill, lines

DAY = 86_400 * SECOND
OTHER = "1:sha256:" + "d" * 64


def history() -> list[DriftReport]:
    """Every kind of instance, some with a past."""
    old = {"time": NOW - 3 * DAY, "scan_at": NOW - 3 * DAY}
    return [
        report("clean"),
        report("clean", time=NOW - 70 * SECOND, seq=6, state="drifted", modified=1, sealed=0, seal=""),
        drifted("drifted-1", image="db@1"),
        drifted("drifted-2", image="db@1", logins=1),
        report("edited", manifest=OTHER, observed=OTHER),
        report("lying", observed=OTHER),
        report("wiped", sealed=NOW - 100 * SECOND, seq=2),
        report("wiped", time=NOW - 200 * SECOND, seq=9),
        report("stepped-back", time=NOW - 90 * SECOND, seq=8, state="tainted", logins=1),
        report("stopped", state="stopped", **old),
        report("silent-for-days", **old),
        report("from-the-future", time=NOW + 30 * DAY, scan_at=NOW + 30 * DAY),
        report("unreadable", state="unverified", unreadable=2),
        report("pending", state="pending", scan_at=0, manifest="", observed="", policy="", sealed=0, seal=""),
        report("terminated", state="terminated", **old),
    ]


def documents(url: str) -> list[dict[str, Any]]:
    """The report on the agents' word, and against trusted manifests."""
    store = open_store(url, {})
    try:
        return [
            report_document(with_systemic(judge(read_reports(store, NOW), NOW, trusted), store.items), NOW)
            for trusted in (None, TRUSTED)
        ]
    finally:
        store.close()


def test_the_embedded_store_the_collector_and_influxdb_give_the_same_report(tmp_path: Path, influxd1: Influxd1) -> None:
    items = [item("drifted-1"), item("drifted-2")]
    embedded = documents(fill(str(tmp_path / "store.db"), history(), items))
    with Collector(Options(str(tmp_path / "store.db"), port=0)) as collector:
        assert documents(collector.url) == embedded
    database = influxd1.new_database()
    influxd1.write([lines(history(), items)], database)
    assert documents(f"influxdb://127.0.0.1:{influxd1.port}/{database}") == embedded


def test_each_of_them_is_judged_as_it_should_be(tmp_path: Path) -> None:
    believed, trusted = documents(fill(str(tmp_path / "store.db"), history()))
    states = {one["instance"]: one["state"] for one in believed["instances"]}
    assert states == {
        "clean": "clean",
        "drifted-1": "drifted",
        "drifted-2": "drifted",
        "edited": "clean",
        "lying": "unverified",
        "wiped": "drifted",
        "stepped-back": "tainted",
        "stopped": "stale",
        "silent-for-days": "stale",
        "from-the-future": "unverified",
        "unreadable": "unverified",
        "pending": "unverified",
    }
    changed = {one["instance"]: one["state"] for one in trusted["instances"] if one["state"] != states[one["instance"]]}
    assert changed == {"drifted-1": "unverified", "drifted-2": "tainted", "edited": "unverified", "lying": "drifted"}
    assert believed["terminated"] == 1
