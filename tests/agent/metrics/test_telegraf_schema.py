"""Our declarations against what Telegraf 1.39.3 really wrote (tests/data/telegraf-1.39.3)."""

import json
from typing import Final

import pytest

import host_trees
from drift_agent.metrics import MEASUREMENTS, METRICS

RECORDED: Final = json.loads((host_trees.DATA / "telegraf-1.39.3/schema.json").read_text())

GO_ALONE: Final = {"internal_memstats", "internal_serializer"}
"""Measurements that say something of Go's runtime, or of Telegraf's plugins, that we have no part of."""

NOT_OURS: Final = {
    # Of the program itself: Telegraf's language, its plugins' start, its serialisers and processors.
    "internal_agent": {"go_version"},
    "internal_gather": {"startup_errors", "errors"},
    "internal_write": {"startup_errors", "errors", "metrics_added", "metrics_filtered"},
}
"""Recorded tags and fields that we do not send."""

OURS_ALONE: Final = {
    "disk": {"label"},  # Telegraf too, where a file system has one
    "mem": {"wired"},  # Telegraf too, on macOS
    "system": {"n_users", "n_unique_users"},  # Telegraf too, where utmp can be read
    "kernel": {"disk_pages_in", "disk_pages_out"},  # Telegraf too, on kernels up to 2.6
    "linux_sysctl_fs": {"dquot-nr", "dquot-max", "super-nr", "super-max"},  # Telegraf too, where the kernel has them
    "processes": {"parked"},  # Telegraf too, when there is one
    "internal_gather": {"metrics_rejected"},
}
"""What we declare and the recording lacks, beside net's protocol counters, which Telegraf sent until 1.28."""


@pytest.mark.parametrize("name", sorted(set(RECORDED) - GO_ALONE))
def test_every_recorded_field_is_declared_with_its_type(name: str) -> None:
    ours = MEASUREMENTS[name]
    recorded = RECORDED[name]
    apart = NOT_OURS.get(name, set())
    assert set(recorded["tags"]) - {"host"} - apart <= set(ours.tags)
    for field, type_ in recorded["fields"].items():
        if field not in apart:
            declared = ours.fields[field].type if field in ours.fields else ours.rest
            assert declared == type_, field


@pytest.mark.parametrize("name", sorted(set(RECORDED) & set(MEASUREMENTS)))
def test_nothing_is_declared_beyond_the_recording_but_what_is_listed(name: str) -> None:
    ours = MEASUREMENTS[name]
    beyond = (set(ours.fields) | set(ours.tags)) - set(RECORDED[name]["fields"]) - set(RECORDED[name]["tags"])
    if name == "net":
        beyond = {field for field in beyond if not field.startswith(("tcp_", "udp_"))}
    assert beyond == OURS_ALONE.get(name, set())


def test_no_measurement_is_declared_twice() -> None:
    names = [one.name for metric in METRICS for one in metric.measurements]
    assert sorted(names) == sorted(set(names))
