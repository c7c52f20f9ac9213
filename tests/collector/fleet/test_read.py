"""From what an operator types to the instances that are meant."""

from drift_collector.fleet.model import Verdict
from drift_collector.fleet.read import select

FLEET = [
    Verdict("i-abc", "clean", host="web-1"),
    Verdict("i-abd", "clean", host="web-10"),
    Verdict("i-x", "clean", host="web-10"),
    Verdict("web-1", "clean", host="other"),
]


def found(name: str) -> list[str]:
    return [verdict.instance for verdict in select(FLEET, name)]


def test_a_whole_instance_wins_then_a_whole_host_then_the_beginning_of_either() -> None:
    assert found("i-abc") == ["i-abc"]
    assert found("web-1") == ["web-1"]
    assert found("web-10") == ["i-abd", "i-x"]
    assert found("i-ab") == ["i-abc", "i-abd"]
    assert found("oth") == ["web-1"]


def test_nothing_and_nobody_mean_no_instance() -> None:
    assert found("") == []
    assert found("nobody") == []
