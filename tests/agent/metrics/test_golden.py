"""What the metrics make of captured machines, to the letter. UPDATE_GOLDEN=1 writes the golden files anew."""

import os
from pathlib import Path

import pytest

import host_trees
from drift_agent.line_protocol import Encoder
from drift_agent.metrics import METRICS
from drift_agent.metrics.metric import Context

MACHINES = sorted(path.name for path in host_trees.TREES.iterdir() if path.is_dir())
# What these read of is no file of the machine, or is said in their own tests.
NOT_FROM_FILES = ("nginx", "internal")


@pytest.mark.parametrize("machine", MACHINES)
def test_the_second_sample_of_a_captured_machine(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of every metric, rates included, is the recorded one; each fits its declaration."""
    tree = host_trees.TREES / machine
    host_trees.fix_what_is_not_in_files(monkeypatch)
    metrics = [metric for metric in METRICS if metric.name not in NOT_FROM_FILES]
    gatherers = [metric.make(metric.options(), Context()) for metric in metrics]
    host_trees.read_from(monkeypatch, tree / "0")
    for gatherer in gatherers:
        host_trees.gather(gatherer, 0, 100.0)
    host_trees.read_from(monkeypatch, tree / "1")
    encoder = Encoder()
    lines = []
    for metric, gatherer in zip(metrics, gatherers, strict=True):
        measurements = {one.name: one for one in metric.measurements}
        points = [measurements[point.measurement].conform(point) for point in gatherer(10, 110.0)]
        lines += [encoder.line(point) for point in points]
    assert_golden(tree / "golden.lp", lines)


def assert_golden(path: Path, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text.splitlines() == path.read_text().splitlines()
