"""cpu: shares of the time between two samples."""

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

import host_trees
from drift_agent.metrics import cpu
from drift_agent.metrics.cpu import usage

TIMES = st.lists(st.integers(0, 10**12), min_size=10, max_size=10)


def test_guests_are_taken_out_of_user_and_nice() -> None:
    values = usage([0] * 10, [40, 10, 20, 20, 5, 1, 2, 2, 30, 4])
    assert values is not None
    assert (values["usage_user"], values["usage_nice"], values["usage_guest"]) == (10.0, 6.0, 30.0)
    assert values["usage_idle"] == 20.0


def test_no_time_and_time_that_runs_backwards_give_nothing() -> None:
    assert usage([5] * 10, [5] * 10) is None
    assert usage([5] * 10, [4] * 10) is None


@given(TIMES, TIMES)
def test_no_share_is_below_zero(before: list[int], now: list[int]) -> None:
    values = usage(before, now)
    assert values is None or all(value >= 0 for value in values.values())


def test_the_first_sample_gives_nothing_and_the_total_can_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    gatherer = host_trees.make("cpu", percpu=False)
    host_trees.read_from(monkeypatch, host_trees.TREES / "nitro-container-host/0")
    assert host_trees.gather(gatherer) == []
    host_trees.read_from(monkeypatch, host_trees.TREES / "nitro-container-host/1")
    assert [point.tags["cpu"] for point in host_trees.gather(gatherer)] == ["cpu-total"]


def test_elsewhere_than_on_linux_it_is_psutils(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "LINUX", False)
    times = cpu.read_times()
    assert set(times) == {"cpu-total", *(f"cpu{number}" for number in range(psutil.cpu_count() or 0))}
    assert all(len(each) == 10 for each in times.values())
