"""The runner: what is due, what fails, what hangs."""

import threading
import time
from collections.abc import Iterable
from threading import Event

import pytest

from drift_agent.config import MetricsOptions
from drift_agent.errors import ConfigError
from drift_agent.metrics import METRIC_NAMES, METRICS
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.metrics.runner import Runner, _Pass, chosen
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Field, Measurement
from fakes import FakeClock
from waiting import PATIENCE, wait_until

STAMP = 1_700_000_000_400_000_000


def metric(name: str, gather: Gatherer, least_interval: float = 0.0) -> Metric:
    def make(_: MetricOptions, __: Context) -> Gatherer:
        return gather

    measurement = Measurement(name, "", (), {"value": Field("i", "1")})
    return Metric(name, make, (measurement,), default=True, least_interval=least_interval)


def steady(name: str, value: FieldValue = 1) -> Gatherer:
    return lambda time, _: [Point(name, {}, {"value": value}, time)]


def failing(_: int, __: float) -> Iterable[Point]:
    raise OSError("no such device")


def names(points: list[Point]) -> list[str]:
    return [point.measurement for point in points]


def test_metrics_are_gathered_in_their_order() -> None:
    runner = Runner(MetricsOptions(), 10, FakeClock(), metrics=[metric(name, steady(name)) for name in "bac"])
    assert names(runner.gather(STAMP, 0.0)) == ["b", "a", "c"]


def test_stamps_are_rounded_to_the_second_unless_the_interval_is_shorter() -> None:
    point = Runner(MetricsOptions(), 1, FakeClock(), metrics=[metric("a", steady("a"))]).gather(STAMP, 0.0)[0]
    assert point.time == 1_700_000_000_000_000_000
    point = Runner(MetricsOptions(), 0.5, FakeClock(), metrics=[metric("a", steady("a"))]).gather(STAMP, 0.0)[0]
    assert point.time == STAMP


def test_a_dear_metric_is_gathered_at_its_own_interval() -> None:
    runner = Runner(MetricsOptions(), 1, FakeClock(), metrics=[metric("a", steady("a")), metric("b", steady("b"), 10)])
    gathered = [names(runner.gather(STAMP, 5.0 + second)) for second in range(21)]
    assert [second for second, found in enumerate(gathered) if "b" in found] == [0, 10, 20]
    assert all("a" in found for found in gathered)


def test_a_little_jitter_of_the_caller_skips_nothing() -> None:
    runner = Runner(MetricsOptions(), 10, FakeClock(), metrics=[metric("a", steady("a"))])
    assert all(runner.gather(STAMP, second) for second in (0.0, 10.3, 19.9, 30.1))


def test_an_interval_of_its_own_wins() -> None:
    options = MetricsOptions(own={"b": {"interval": "2s"}})
    runner = Runner(options, 10, FakeClock(), metrics=[metric("a", steady("a")), metric("b", steady("b"), 10)])
    assert runner.tick == 2.0
    assert [names(runner.gather(STAMP, 2.0 * n)) for n in range(3)] == [["a", "b"], ["b"], ["b"]]


def test_everything_can_be_asked_for_before_it_is_due() -> None:
    runner = Runner(MetricsOptions(), 10, FakeClock(), metrics=[metric("a", steady("a"))])
    runner.gather(STAMP, 0.0)
    assert runner.gather(STAMP, 1.0) == []
    assert names(runner.gather(STAMP, 1.0, everything=True)) == ["a"]


def test_one_that_fails_is_counted_and_stops_no_other() -> None:
    runner = Runner(MetricsOptions(), 10, FakeClock(), metrics=[metric("a", failing), metric("b", steady("b"))])
    assert names(runner.gather(STAMP, 0.0)) == ["b"]
    assert runner.stats["a"].gather_errors == 1
    assert runner.stats["b"].metrics_gathered == 1


def test_a_failure_is_said_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    ways: list[Gatherer] = [failing, failing, steady("a"), steady("a")]

    def gather(time: int, monotonic: float) -> Iterable[Point]:
        return ways.pop(0)(time, monotonic)

    runner = Runner(MetricsOptions(), 1, FakeClock(), metrics=[metric("a", gather)])
    with caplog.at_level("INFO", "driftline.metrics"):
        for second in range(4):
            runner.gather(STAMP, float(second))
    assert [record.message for record in caplog.records] == [
        "metric a failed, and is tried again each time: OSError: no such device",
        "metric a works again",
    ]


def test_a_point_of_the_wrong_type_never_leaves() -> None:
    runner = Runner(MetricsOptions(), 10, FakeClock(), metrics=[metric("a", steady("a", 1.5))])
    assert runner.gather(STAMP, 0.0) == []
    assert runner.stats["a"].metrics_rejected == 1


def test_one_that_hangs_is_left_out_until_it_answers_and_said_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, release, answered = Event(), Event(), Event()

    def hang(time: int, _: float) -> Iterable[Point]:
        asked.set()
        release.wait(PATIENCE)
        answered.set()
        return [Point("b", {}, {"value": 1}, time)]

    def patience_ends_with_b(todo: _Pass, _: float) -> bool:
        def is_at_b() -> bool:
            left = todo.jobs[len(todo.results) :]
            return bool(left) and left[0].name == "b" and asked.is_set() and not release.is_set()

        wait_until(lambda: not todo.done.empty() or is_at_b())
        return not todo.done.empty()

    monkeypatch.setattr("drift_agent.metrics.runner._is_done", patience_ends_with_b)
    metrics = [metric("a", steady("a")), metric("b", hang), metric("c", steady("c"))]
    runner = Runner(MetricsOptions(), 1, FakeClock(), metrics=metrics)
    assert names(runner.gather(STAMP, 0.0)) == ["a", "c"]
    assert names(runner.gather(STAMP, 1.0)) == ["a", "c"]
    assert runner.stats["b"].gather_timeouts == 2
    assert "metric b has not answered" in caplog.text
    release.set()
    assert answered.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    second = 2.0
    while names(runner.gather(STAMP, second)) != ["a", "b", "c"]:
        assert time.monotonic() < deadline
        second += 1
    assert "metric b answers again" in caplog.text


def test_close_ends_the_thread() -> None:
    before = set(threading.enumerate())
    runner = Runner(MetricsOptions(), 1, FakeClock(), metrics=[metric("a", steady("a"))])
    runner.gather(STAMP, 0.0)
    assert len(set(threading.enumerate()) - before) == 1
    runner.close()
    runner.close()
    wait_until(lambda: set(threading.enumerate()) <= before, what="the end of the thread")


def test_enable_adds_to_the_defaults_and_disable_takes_away() -> None:
    defaults = [metric.name for metric in METRICS if metric.default]
    assert {"cpu", "mem", "swap", "disk", "diskio", "net", "system"} <= set(defaults)
    wanted = chosen(METRICS, MetricsOptions(enable=METRIC_NAMES, disable=("cpu",)))
    assert [metric.name for metric in wanted] == [name for name in METRIC_NAMES if name != "cpu"]


def test_an_unknown_key_of_a_metric_is_named() -> None:
    with pytest.raises(ConfigError, match=r"metrics\.disk\.ignore_fz is not a key here; did you mean 'ignore_fs'"):
        Runner(MetricsOptions(own={"disk": {"ignore_fz": []}}), 10, FakeClock())
