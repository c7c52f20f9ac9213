"""Our declarations against what Telegraf 1.39.3 really wrote (tests/data/telegraf-1.39.3)."""

import pytest

from drift_agent.metrics import MEASUREMENTS, METRICS
from telegraf_schema import GO_ALONE, NOT_OURS, OURS_ALONE, RECORDED


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
