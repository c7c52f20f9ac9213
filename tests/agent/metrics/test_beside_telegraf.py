"""The agent and a real Telegraf on the same machine at the same time say the same, within what a second changes."""

import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

import need
from drift_agent.clock import SystemClock
from drift_agent.config import MetricsOptions
from drift_agent.line_protocol import parse
from drift_agent.metrics import METRIC_NAMES
from drift_agent.metrics.runner import Runner
from drift_agent.model import Point
from telegraf_schema import GO_ALONE, NOT_OURS, OURS_ALONE
from waiting import PATIENCE

SECONDS: Final = 4
INPUTS: Final = (
    "cpu", "mem", "swap", "disk", "diskio", "net", "netstat", "nstat", "system", "processes", "kernel", "conntrack",
    "linux_sysctl_fs",
)  # fmt: skip
PLUGIN_OPTIONS: Final = {
    "kernel": 'collect = ["ksm", "psi"]\n',
    # What Telegraf's own sample configuration says.
    "disk": 'ignore_fs = ["tmpfs", "devtmpfs", "devfs", "iso9660", "overlay", "aufs", "squashfs"]\n',
}
CONFIG: Final = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  omit_hostname = true
[[outputs.file]]
  files = ["{output}"]
""" + "".join(f"[[inputs.{name}]]\n{PLUGIN_OPTIONS.get(name, '')}" for name in INPUTS)

RATES: Final = ("usage_", "io_util", "io_await", "io_svctm")
"""Over each one's own second: what they are is a matter of moments."""

SLACK: Final = {
    "mem": 256 << 20,  # both of them, and the rest of the machine, take and give
    "disk": 64 << 20,
    "processes": 30,
    "netstat": 20,
    "system": 1.5,
    "pressure": 20,
}
"""How far a gauge may be off; counters may by 2 % and 1000."""

Series = tuple[str, tuple[tuple[str, str], ...]]
Values = dict[Series, dict[str, list[object]]]


def collect(points: list[Point]) -> Values:
    values: Values = defaultdict(lambda: defaultdict(list))
    for point in points:
        for name, value in point.fields.items():
            values[point.measurement, tuple(sorted(point.tags.items()))][name].append(value)
    return values


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Values, Values]:
    """What we and what Telegraf say of the same seconds."""
    program = need.named("TELEGRAF")
    folder: Path = tmp_path_factory.mktemp("telegraf")
    (folder / "telegraf.conf").write_text(CONFIG.format(output=folder / "out"))
    telegraf = subprocess.Popen(
        [program, "--config", str(folder / "telegraf.conf"), "--quiet"], stderr=subprocess.DEVNULL
    )
    options = MetricsOptions(enable=METRIC_NAMES, disable=("nginx", "internal"), own={"nstat": {}})
    runner = Runner(options, 1.0, SystemClock())
    ours: list[Point] = []
    try:
        deadline = time.monotonic() + PATIENCE
        while not (folder / "out").exists() or len(set(_times(folder / "out"))) < SECONDS:
            assert telegraf.poll() is None
            assert time.monotonic() < deadline
            ours += runner.gather(time.time_ns(), time.monotonic(), everything=True)
            time.sleep(0.5)
        ours += runner.gather(time.time_ns(), time.monotonic(), everything=True)
    finally:
        telegraf.terminate()
        telegraf.wait()
        runner.close()
    theirs = [parse(line) for line in (folder / "out").read_text().splitlines() if line]
    return collect(ours), collect(theirs)


def _times(path: Path) -> list[str]:
    return [line.rpartition(" ")[2] for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_series_and_fields_are_the_same(both: tuple[Values, Values]) -> None:
    ours, theirs = both
    for (measurement, tags), fields in theirs.items():
        if measurement in GO_ALONE or (measurement == "diskio" and dict(tags)["name"].startswith(("loop", "zram"))):
            continue
        mine = set(ours[measurement, tags])
        assert set(fields) - NOT_OURS.get(measurement, set()) <= mine, (measurement, tags)
        beyond = mine - set(fields) - OURS_ALONE.get(measurement, set())
        # A counter of nstat that became 1 meanwhile is there from then on.
        assert not beyond or measurement == "nstat", (measurement, tags, beyond)
    known = {series for series in ours if series[0] in {measurement for measurement, _ in theirs}}
    more = {series for series in known - set(theirs) if ("interface", "all") not in series[1]}
    assert not more


@pytest.mark.slow
def test_types_are_the_same(both: tuple[Values, Values]) -> None:
    ours, theirs = both
    for series, fields in theirs.items():
        for name, values in fields.items():
            if name in ours.get(series, {}):
                assert type(ours[series][name][0]) is type(values[0]), (series, name)


@pytest.mark.slow
def test_values_are_the_same(both: tuple[Values, Values]) -> None:
    ours, theirs = both
    off: list[tuple[Series, str, object, list[object]]] = []
    for series, fields in theirs.items():
        for name, values in fields.items():
            mine = ours.get(series, {}).get(name)
            if mine is None or name.startswith(RATES):
                continue
            for value in values:
                if isinstance(value, str):
                    if value not in mine:
                        off.append((series, name, value, mine))
                elif not _near(series[0], name, float(value), [float(one) for one in mine]):  # type: ignore[arg-type]
                    off.append((series, name, value, mine))
    assert not off


def _near(measurement: str, name: str, value: float, mine: list[float]) -> bool:
    slack = 5.0 if "percent" in name else max(0.02 * abs(value) + 1000, SLACK.get(measurement, 0))
    return min(mine) - slack <= value <= max(mine) + slack
