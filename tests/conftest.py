"""The suite's one policy on slow tests and on what a machine lacks, and the real servers as fixtures.

Slow tests are off unless `--slow` or `CI=true`. What a machine lacks is skipped by name (`tests/support/need.py`);
under `CI=true` a skip is a failure, but for the programs that only the environment can name.
"""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

import need
import product
from servers import Influxd1, Influxd2, OpenGemini, VictoriaMetrics
from waiting import PATIENCE

IN_CI = os.environ.get("CI") == "true"

# How long one example takes says something about the machine, and nothing about the code.
hypothesis.settings.register_profile("driftline", deadline=None)
hypothesis.settings.load_profile("driftline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests too (CI=true does)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if IN_CI or config.getoption("--slow"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


def _judge_skip(report: pytest.TestReport | pytest.CollectReport, error: BaseException | None) -> None:
    if isinstance(error, need.Lacking):  # one line in the summary, however many tests needed it
        report.longrepr = (need.__file__, 0, f"Skipped: {error.msg}")
    if not (IN_CI and report.skipped) or hasattr(report, "wasxfail") or isinstance(error, need.NotNamed):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"under CI=true a skip is a failure: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _judge_skip(report, call.excinfo.value if call.excinfo else None)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _judge_skip(report, None)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name in sorted(need.NAMED_BY_ENVIRONMENT if IN_CI else need.missing):
        if not os.environ.get(name):
            terminalreporter.write_line(f"not tested: {name} is not set ({need.NAMED_BY_ENVIRONMENT[name]})")


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at some paths ends when it is done, and not when its half second is over."""
    monkeypatch.setattr("drift_agent.drift.check_paths.LOOK_SECONDS", PATIENCE)


def _influxd1_program() -> str:
    return need.program("influxd", "influxdb")


@pytest.fixture(scope="session")
def influxd1() -> Iterator[Influxd1]:
    """InfluxDB 1.x for the whole session: take a `new_database()`, and leave it running."""
    with Influxd1(_influxd1_program()) as server:
        yield server


@pytest.fixture(scope="session")
def influxd1_auth() -> Iterator[Influxd1]:
    """InfluxDB 1.x that demands its administrator's name and password."""
    with Influxd1(_influxd1_program(), auth=True) as server:
        yield server


@pytest.fixture
def fresh_influxd1() -> Iterator[Influxd1]:
    """InfluxDB 1.x of this test alone, which may stop it."""
    with Influxd1(_influxd1_program()) as server:
        yield server


@pytest.fixture(scope="session")
def victoria_metrics() -> Iterator[VictoriaMetrics]:
    """VictoriaMetrics for the whole session."""
    with VictoriaMetrics(need.program("victoria-metrics")) as server:
        yield server


@pytest.fixture(scope="session")
def influxd2() -> Iterator[Influxd2]:
    """InfluxDB 2.x for the whole session, where INFLUXD2 names it."""
    with Influxd2(need.named("INFLUXD2")) as server:
        yield server


@pytest.fixture(scope="session")
def opengemini() -> Iterator[OpenGemini]:
    """openGemini for the whole session, where OPENGEMINI names its `ts-server`."""
    with OpenGemini(need.named("OPENGEMINI")) as server:
        yield server


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return product.build_wheel(tmp_path_factory.mktemp("wheel"))
