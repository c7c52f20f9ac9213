"""`drift store init` as an operator meets it."""

from pathlib import Path

import pytest

from commands import Commands
from drift_collector.cli import store
from servers import Influxd1, Influxd2, free_port


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    for name in ("DRIFTLINE_TOKEN", "DRIFTLINE_USERNAME", "DRIFTLINE_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Commands(store.register, capsys=capsys)


def test_on_1x_it_says_what_is_there_now(commands: Commands, influxd1: Influxd1) -> None:
    name = influxd1.new_name()
    ended = commands("store", "init", f"influxdb://127.0.0.1:{influxd1.port}/{name}", "--retention", "30d")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == (
        f"drift store init: 127.0.0.1:{influxd1.port}: the database '{name}' is there, its points live 30d\n"
    )
    assert influxd1.rows(f'SHOW RETENTION POLICIES ON "{name}"')


def test_on_2x_tokens_are_shown_once_or_written_to_files(
    commands: Commands, influxd2: Influxd2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_TOKEN", influxd2.token)
    url = f"influxdb://127.0.0.1:{influxd2.port}/{{}}?org={influxd2.org}"
    shown = commands("store", "init", url.format(influxd2.new_name()))
    assert [line.split()[0] for line in shown.out.splitlines()] == ["write", "read"]
    assert influxd2.token not in shown.out + shown.err

    folder, name = tmp_path / "tokens", influxd2.new_name()
    written = commands("store", "init", url.format(name), "--token-dir", str(folder))
    assert (written.code, written.out) == (0, "")
    for file in (folder / "write.token", folder / "read.token"):
        assert len(file.read_text().strip()) > 40
        assert file.read_text().strip() not in written.err
        assert file.stat().st_mode & 0o777 == 0o600
    before = (folder / "read.token").read_text()
    again = commands("store", "init", url.format(name), "--token-dir", str(folder))
    assert again.code == 0
    assert "made before" in again.err
    assert (folder / "read.token").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["sqlite:///x.db"], 64, "the embedded store makes itself"),
        (["http://collector:8087"], 64, "only influxdb:// and influxdbs:// need init"),
        (["influxdb://127.0.0.1:PORT/x", "--retention", "soon"], 64, "--retention: 'soon'"),
        (["influxdb://127.0.0.1:PORT/x", "--retention", "5m"], 64, "must be at least 1h"),
        (["influxdb://127.0.0.1:PORT"], 64, "names no database"),
        (["influxdb://127.0.0.1:PORT/x"], 1, "cannot be reached: Connection refused"),
        (["influxdb://127.0.0.1:PORT/x", "--token-dir", "/proc/x"], 1, "/proc/x: cannot be made"),
    ],
)
def test_a_mistake_is_one_sentence(commands: Commands, arguments: list[str], code: int, said: str) -> None:
    ended = commands("store", "init", *(argument.replace("PORT", str(free_port())) for argument in arguments))
    assert ended.code == code
    assert said in ended.err
    assert ended.err.count("\n") == 1
