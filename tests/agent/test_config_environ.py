"""The environment over the file, for `drift-agent` as for the daemon."""

from pathlib import Path

import pytest

from drift_agent.config import AgentOptions
from drift_agent.config_file import load
from drift_agent.errors import ConfigError

METRICS = dict.fromkeys(("cpu", "disk", "nginx"), AgentOptions)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "agent.toml"
    path.write_text('[[outputs]]\nurl = "http://influxdb.example:8086"\ntoken = "secret-token"\n')
    return str(path)


def refused(path: str, environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ, known_metrics=METRICS)
    assert caught.value.exit_code == 64
    return str(caught.value)


def test_the_environment_overrides_the_file(config: str) -> None:
    environ = {
        "DRIFTLINE_AGENT_INTERVAL": "3s",
        "DRIFTLINE_AGENT_TAGS": "zone=b,rack=7",
        "DRIFTLINE_OUTPUTS_0_TOKEN": "other",
        "DRIFTLINE_OUTPUTS_1_URL": "http://second:8086",
        "DRIFTLINE_OUTPUTS_1_LANES": "drift",
        "DRIFTLINE_METRICS_DISK_INTERVAL": '"30s"',
        "DRIFTLINE_IMAGE_WATCH": "false",
        "DRIFTLINE_SPOOL_MAX_BYTES": "1048576",
        "DRIFTLINE_TOKEN": "an operator's, not ours",
    }
    loaded = load(config, environ)
    assert loaded.agent.interval == 3.0
    assert loaded.agent.tags == {"zone": "b", "rack": "7"}
    assert loaded.outputs[0].token == "other"
    assert loaded.outputs[1].lanes == ("drift",)
    assert loaded.metrics.own == {"disk": {"interval": "30s"}}
    assert loaded.image.watch is False
    assert loaded.spool.max_bytes == 1 << 20


def test_a_mistake_in_the_environment_names_the_variable(config: str) -> None:
    assert refused(config, {"DRIFTLINE_AGENT_INTERVAL": "soon"}).startswith(
        "environment variable DRIFTLINE_AGENT_INTERVAL"
    )
    assert "DRIFTLINE_OUTPUTS_0_KEY" in refused(config, {"DRIFTLINE_OUTPUTS_TOKEN": "x"})


def test_the_environment_reaches_metrics_whose_names_hold_underscores(config: str) -> None:
    known = {"linux_sysctl_fs": AgentOptions, "net": AgentOptions}
    environ = {"DRIFTLINE_METRICS_LINUX_SYSCTL_FS_INTERVAL": "30s", "DRIFTLINE_METRICS_NET_REPORT_INTERVAL": "5s"}
    loaded = load(config, environ, known_metrics=known)
    assert loaded.metrics.own == {"linux_sysctl_fs": {"interval": "30s"}, "net": {"report_interval": "5s"}}


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 5000 + "]" * 5000])
def test_what_toml_cannot_hold_is_one_sentence(config: str, text: str) -> None:
    with pytest.raises(ConfigError, match=r"^environment variable DRIFTLINE_METRICS_NET_INTERVAL"):
        load(config, {"DRIFTLINE_METRICS_NET_INTERVAL": text}, known_metrics={"net": AgentOptions})


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DRIFTLINE_METRICS_DISK_INTERVAL", "soon", " = 'soon': 'soon' is not a duration"),
        ("DRIFTLINE_METRICS_DSK_INTERVAL", "1s", " 'dsk' is no metric; did you mean 'disk'?"),
        ("DRIFTLINE_METRICS_DISK", "1s", ": write DRIFTLINE_METRICS_NAME_KEY"),
        ("DRIFTLINE_AGENT_INTERVALL", "1s", " is not a key here; did you mean 'interval'?"),
        ("DRIFTLINE_OUTPUTS_0_URL", "http://u:secret@h", " must not hold credentials"),
    ],
)
def test_a_mistake_in_any_variable_names_it(config: str, variable: str, value: str, expected: str) -> None:
    assert refused(config, {variable: value}).startswith(f"environment variable {variable}{expected}")
