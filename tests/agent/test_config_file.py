"""TOML and environment → Config, and what is said of a mistake."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.config import AgentOptions, Config, ImageOptions, SpoolOptions
from drift_agent.config_file import load, located
from drift_agent.errors import ConfigError

Write = Callable[[str], str]

METRICS = dict.fromkeys(("cpu", "disk", "nginx"), AgentOptions)
MINIMAL = """\
[[outputs]]
url = "http://influxdb.example:8086"
token = "secret-token"
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_config(text: str) -> str:
        path = tmp_path / "agent.toml"
        path.write_text(text)
        return str(path)

    return write_config


def refused(path: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, {}, known_metrics=METRICS)
    assert caught.value.exit_code == 64
    return str(caught.value)


def test_a_url_and_a_token_are_enough(write: Write) -> None:
    config = load(write(MINIMAL), {})
    assert config.agent == AgentOptions()
    assert config.image == ImageOptions()
    assert config.spool == SpoolOptions()
    (output,) = config.outputs
    assert (output.url, output.database, output.org, output.lanes) == (
        "http://influxdb.example:8086",
        "driftline",
        "",
        ("drift", "logs", "metrics"),
    )
    assert output.label == "influxdb.example:8086"


def test_every_section_is_read(write: Write) -> None:
    config = load(
        write(
            MINIMAL
            + """
[agent]
interval = "1s"
tags = { zone = "a" }
[image]
root = "/srv/root"
[metrics]
enable = ["nginx"]
[metrics.disk]
interval = "30s"
[spool]
max_bytes = "64MiB"
[[logs]]
path = "/var/log/nginx/access.log*"
format = "nginx-combined"
from = "end"
"""
        ),
        {},
        known_metrics=METRICS,
    )
    assert config.agent.interval == 1.0
    assert config.agent.tags == {"zone": "a"}
    assert config.image.root == "/srv/root"
    assert config.metrics.enable == ("nginx",)
    assert config.metrics.own == {"disk": {"interval": "30s"}}
    assert config.spool.max_bytes == 64 << 20
    assert config.logs[0].from_ == "end"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[agent]\nintervall = "1s"', "line 2: agent.intervall is not a key here; did you mean 'interval'?"),
        ('[agent]\n\ninterval = "1 s"', "line 3: agent.interval = '1 s': '1 s' is not a duration"),
        ("[agent]\ninterval = 5", "line 2: agent.interval = 5: must be a duration such as '10s'"),
        ('[agent]\ninterval = "0s"', "must be at least 100ms"),
        ('[agent]\nreport_interval = "1ms"', "must be at least 1s"),
        ('[agent]\nstate_dir = "state"', "state_dir = 'state': must be a path that begins with /"),
        ('[agent]\nhost = "a\\u001b[2J"', "must not hold control characters"),
        ('[agent]\nreport_interval = "2h"', "and at most 1h"),
        ('[image]\nscan_interval = "25h"', "and at most 24h"),
        ('[image]\nsettle = "366d"', "and at most 1h"),
        ("[agnt]\n", "agnt is not a section; did you mean 'agent'?"),
        ('[[outputs]]\nurl = "influx:8086"', "line 2: outputs[0].url = 'influx:8086': must be an address such as"),
        ('[[outputs]]\nurl = "http://u:p@h"', "must not hold credentials"),
        ('[[outputs]]\nurl = "http://h:80a"', "line 2: outputs[0].url = 'http://h:80a': must be an address such as"),
        ('[[outputs]]\nurl = "http://[::1"', "must be an address such as"),
        ('[[outputs]]\nurl = "http://h:1/?p=hidden"', "line 2: outputs[0].url must end before the '?'"),
        ('[[outputs]]\nlanes = ["drift"]', "outputs[0].url is missing"),
        ('[[outputs]]\nurl = "http://a"\nlanes = ["logz"]', "may hold drift, logs, metrics"),
        ('[[outputs]]\nurl = "http://a"\n[[outputs]]\nurl = "http://a"', "two outputs are called 'a'"),
        ('[[outputs]]\nurl = "http://a"\nusername = "u"', "username and password_file go together"),
        ('[[outputs]]\nurl = "https://a"\nkey_file = "/k"', "line 3: outputs[0].key_file stands alone"),
        ('[metrics]\nenable = ["nginks"]', "line 2: metrics.enable 'nginks' is no metric; did you mean 'nginx'?"),
        ("[metrics.disk]\nfoo = 1", "line 2: metrics.disk.foo is not a key here"),
        ("[metrics]\ndisk = 1", "line 2: metrics.disk must be a table: write [metrics.disk]"),
        ('[metrics.dsk]\ninterval = "1s"', "'dsk' is no metric; did you mean 'disk'?"),
        ('[[logs]]\npath = "/x"\njournal = true', "line 3: logs[0].journal stands beside path"),
        ('[[logs]]\npath = "x.log"', "logs[0].path = 'x.log': must be a path that begins with /"),
        ('[[logs]]\npath = "/x"\nroutes = { a = 1 }', "must be a table of expressions"),
        ("[[logs]]\n", "path or journal = true"),
        ('[agent]\ntags = "zone"', "line 2: agent.tags = 'zone': must be NAME=VALUE"),
        ('[agent]\ntags = { host = "x" }', "'host' cannot be the name of a tag"),
        ("[spool]\nmax_bytes = -1", "max_bytes = -1: must not be negative"),
        ("[spool]\nmax_bytes = 1e9", "must be a number of bytes, or a size such as '64MiB'"),
        ("a = " + "[" * 5000, "nested too deep"),
        ("outputs = 3", "must be a list of tables: write [[outputs]]"),
        ("agent = 3", "must be a table: write [agent]"),
        ("[agent", "not TOML"),
    ],
)
def test_a_mistake_names_file_line_and_key_and_what_is_allowed(write: Write, text: str, expected: str) -> None:
    path = write(text)
    message = refused(path)
    assert message.startswith(path)
    assert expected in message
    assert "\n" not in message


def test_a_mistake_in_the_second_table_of_a_list_has_its_own_line(write: Write) -> None:
    text = '[[outputs]]\nurl = "http://a"\n[[outputs]]\nname = "b"\nurl = 3\n'
    assert "line 5: outputs[1].url" in refused(write(text))


def test_a_value_that_its_user_refuses_is_located_too(write: Write) -> None:
    path = write(MINIMAL + '[[logs]]\npath = "/x"\npattern = "("\n')
    with pytest.raises(ConfigError, match=r"agent\.toml, line 6: logs\[0\]\.pattern: bad"), located(load(path, {})):
        raise ConfigError("logs[0].pattern: bad")


def test_no_message_holds_a_secret(write: Write) -> None:
    assert "hunter2" not in refused(write('[[outputs]]\nurl = "http://a"\ntoken = ["hunter2"]'))
    assert "hunter2" not in refused(write('[[outputs]]\nurl = "http://u:hunter2@a"'))


def test_a_file_that_is_not_there_says_what_to_do() -> None:
    assert "--config" in refused("/nonexistent/agent.toml")


@given(st.binary(max_size=300))
def test_any_bytes_give_a_config_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("config") / "agent.toml"
    path.write_bytes(raw)
    with suppress(ConfigError):  # anything else is a traceback for a user's mistake
        assert isinstance(load(str(path), {}), Config)
