"""The whole way, on real parts: bake → agent → spool → InfluxDB → `drift report`."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drift_collector.local.agents import AgentProcess, LocalAgent
from drift_collector.local.sample import tamper, write_sample_tree
from servers import Influxd1, Influxd2, InfluxQLServer, VictoriaMetrics
from waiting import PATIENCE, wait_until

TYPES = {
    "cpu": {"usage_idle": "float", "usage_user": "float", "usage_steal": "float"},
    "mem": {"used_percent": "float", "total": "integer", "available": "integer", "commit_limit": "integer"},
    "disk": {"used_percent": "float", "total": "integer", "inodes_used": "integer"},
    "net": {"bytes_sent": "integer", "packets_recv": "integer", "drop_in": "integer"},
    "system": {"load1": "float", "n_cpus": "integer", "uptime_format": "string"},
}


def drift(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`drift ARGUMENTS`, as a user would run it."""
    command = [sys.executable, "-c", "from drift_collector.cli import main; main()", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env={**clean, **(environ or {})}, check=False
    )


@pytest.fixture
def machine(tmp_path: Path) -> LocalAgent:
    """A sample machine with its baked manifest; only its output's address is missing."""
    root = tmp_path / "root"
    root.mkdir()
    write_sample_tree(root)
    manifest = tmp_path / "manifest.jsonl"
    baked = drift("image", "bake", "--root", str(root), "--image", "web", "--version", "42", "-o", str(manifest))
    assert baked.returncode == 0, baked.stderr
    return LocalAgent(
        folder=tmp_path / "agent",
        root=root,
        manifest=manifest,
        url="",
        instance="i-0abc",
        host="web-1",
        interval="1s",
        report_interval="2s",
        scan_interval="1h",  # what changes is found as it happens, or not at all
    )


def verdicts(url: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """The instances of `drift report`, by name."""
    done = drift("report", "--store", url, "--format", "json", environ=environ)
    assert done.returncode in (0, 2, 3), done.stderr
    return {one["instance"]: one for one in json.loads(done.stdout)["instances"]}


def check_types(server: InfluxQLServer, database: str) -> None:
    for measurement, wanted in TYPES.items():
        rows = server.rows(f'SHOW FIELD KEYS FROM "{measurement}"', database)
        types = {row["fieldKey"]: row["fieldType"] for row in rows}
        assert wanted.items() <= types.items(), measurement


def the_way_through(machine: LocalAgent, server: InfluxQLServer, store: str, database: str, token: str = "") -> None:
    environ = {"DRIFTLINE_TOKEN": token} if token else {}
    with AgentProcess(machine) as agent:
        wait_until(lambda: verdicts(store, environ).get("i-0abc", {}).get("state") == "clean", what="a clean report")
        wait_until(lambda: bool(server.rows("SELECT count(usage_idle) FROM cpu", database)), what="cpu usage")
        tamper(machine.root)
        wait_until(lambda: verdicts(store, environ)["i-0abc"]["state"] == "drifted", what="a drifted report")
        agent.check()
        check_types(server, database)
        report = verdicts(store, environ)["i-0abc"]
        assert (report["added"], report["removed"], report["modified"]) == (2, 1, 1)
        assert report["image"] == "web@42"
        shown = drift("show", "i-0abc", "--store", store, "--format", "json", environ=environ)
        changes = {(item["kind"], item["key"], item["change"]) for item in json.loads(shown.stdout)["items"]}
        assert changes == {
            ("file", "/etc/ssh/sshd_config", "modified"),
            ("file", "/etc/systemd/system/backdoor.service", "added"),
            ("service", "backdoor.service", "added"),
            ("file", "/etc/cron.d/rotate", "removed"),
        }
    last = verdicts(store, environ)["i-0abc"]
    assert last["state"] == "drifted"
    assert any(reason["code"] == "stopped" for reason in last["reasons"])


def test_a_change_under_the_baked_root_is_in_the_report_of_influxdb_1(machine: LocalAgent, influxd1: Influxd1) -> None:
    store = f"influxdb://127.0.0.1:{influxd1.port}/driftline"
    assert drift("store", "init", store).returncode == 0
    the_way_through(replace(machine, url=influxd1.url), influxd1, store, "driftline")


def test_a_change_under_the_baked_root_is_in_the_report_of_influxdb_2(machine: LocalAgent, influxd2: Influxd2) -> None:
    database = influxd2.new_database()
    token = influxd2.new_token("read", "write")
    store = f"influxdb://127.0.0.1:{influxd2.port}/{database}?org={influxd2.org}"
    agent = replace(machine, url=influxd2.url, token=token, database=database)
    the_way_through(agent, influxd2, store, database, token)


@pytest.mark.slow
def test_an_outage_of_influxdb_leaves_no_hole(machine: LocalAgent, fresh_influxd1: Influxd1) -> None:
    """A minute at 1 s, with the server away for 20 s of it: every point that was gathered is stored.

    How many those were the agent says itself, at each of its samples: a busy machine may cost it some.
    """
    server = fresh_influxd1
    store = f"influxdb://127.0.0.1:{server.port}/driftline"
    assert drift("store", "init", store).returncode == 0
    query = 'SELECT "usage_idle" FROM "cpu"'
    started = time.monotonic()
    with AgentProcess(replace(machine, url=server.url)):
        wait_until(lambda: len(server.rows(query, "driftline")) >= 10, what="ten samples")
        server.stop()
        began, away = time.time_ns(), time.monotonic()
        wait_until(lambda: time.monotonic() - away >= 20, what="the outage")
        ended = time.time_ns()
        server.start()
        wait_until(lambda: time.monotonic() - started >= 60, what="the minute")
    stored = [row["time"] for row in server.rows(query, "driftline")]
    said = server.rows("""SELECT "metrics_gathered" FROM "internal_gather" WHERE "input" = 'cpu'""", "driftline")
    assert any(began < row["time"] < ended for row in said)
    for row in said[:-1]:  # the last sample may fall into the same second as the one before it
        assert sum(time <= row["time"] for time in stored) == row["metrics_gathered"]


def test_the_same_agent_delivers_to_victoria_metrics(machine: LocalAgent, victoria_metrics: VictoriaMetrics) -> None:
    with AgentProcess(replace(machine, url=victoria_metrics.url, org="any")):
        for name in ("cpu_usage_idle", "mem_used_percent", "disk_used_percent", "drift_scanned"):
            wait_until(lambda name=name: bool(victoria_metrics.series(f'{{__name__="{name}"}}')), what=name)  # type: ignore[misc]
