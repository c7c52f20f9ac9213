"""internal: what was gathered and sent, as the agent itself counts it."""

from drift_agent import __version__
from drift_agent.config import MetricsOptions
from drift_agent.metrics.metric import OutputStats
from drift_agent.metrics.runner import Runner
from drift_agent.model import Point
from fakes import FakeClock


def gather(runner: Runner, name: str) -> list[Point]:
    points = runner.gather(0, 0.0, everything=True)
    return [point for point in points if point.measurement == name]


def test_every_metric_and_every_output_has_a_point() -> None:
    outputs = [OutputStats("a:8086", metrics_written=7, write_errors=1), OutputStats("b:8086", metrics_dropped=3)]
    runner = Runner(MetricsOptions(), 10, FakeClock(), outputs=lambda: outputs)
    gather(runner, "internal_gather")
    points = gather(runner, "internal_gather")
    assert {point.tags["input"] for point in points} == set(runner.names)
    written = gather(runner, "internal_write")
    assert [(point.tags["output"], point.fields["metrics_written"]) for point in written] == [
        ("a:8086", 7),
        ("b:8086", 0),
    ]
    (agent,) = gather(runner, "internal_agent")
    assert agent.tags == {"version": __version__}
    assert (agent.fields["metrics_written"], agent.fields["metrics_dropped"], agent.fields["write_errors"]) == (7, 3, 1)
    assert int(agent.fields["metrics_gathered"]) > 10
    assert agent.fields["gather_errors"] == 0
    runner.close()
