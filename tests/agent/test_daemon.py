"""The agent's process: how it starts, what it holds, how it ends."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest

from drift_agent.drift.state import StateStore
from drift_agent.errors import DriftlineError
from drift_agent.status import ask_agent
from drift_collector.report.document import schema
from waiting import PATIENCE, wait_until

DAEMON = [sys.executable, "-I", "-m", "drift_agent.daemon"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An agent without a manifest, whose server is down."""
    path = tmp_path / "agent.toml"
    path.write_text(
        f"""[agent]
interval = "1s"
state_dir = {json.dumps(str(tmp_path / "state"))}
instance = "i-1"
[image]
root = {json.dumps(str(tmp_path))}
manifest = {json.dumps(str(tmp_path / "manifest.jsonl"))}
[[outputs]]
url = "http://127.0.0.1:9"
token = "hunter2-hunter2"
"""
    )
    return path


@pytest.fixture
def daemon(config: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([*DAEMON, str(config)], stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def has_points(state_dir: Path) -> bool:
    """Whether an agent answers there, and samples wait in its spool."""
    try:
        return bool(ask_agent(str(state_dir)).get("spool", {}).get("lanes", {}).get("metrics", {}).get("points"))
    except DriftlineError:
        return False


def is_sampling(state_dir: Path) -> bool:
    """Whether everything has started: samples wait, the detector has looked, and the server was tried."""
    try:
        status = ask_agent(str(state_dir))
    except DriftlineError:
        return False
    return bool(
        status.get("spool", {}).get("lanes", {}).get("metrics", {}).get("points")
        and status.get("drift", {"state": "pending"})["state"] != "pending"
        and status["outputs"][0]["last_error"]
    )


def test_the_daemon_holds_no_command_line_and_no_server_library() -> None:
    heavy = "{'typer', 'rich', 'click', 'starlette', 'uvicorn', 'influxdb_client', 'boto3'}"
    code = f"import drift_agent.daemon, sys; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_down_holds_up_neither_start_nor_status_nor_end(
    daemon: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    wait_until(lambda: is_sampling(tmp_path / "state"), what="samples in the spool")
    status = ask_agent(str(tmp_path / "state"))
    jsonschema.validate(status, schema("driftline.agent-status/1"))
    assert status["identity"]["instance"] == "i-1"
    assert status["drift"]["state"] == "unverified"
    assert "manifest" in status["drift"]["problem"]
    (output,) = status["outputs"]
    assert output["last_ack"] is None
    assert "refused" in output["last_error"]
    daemon.send_signal(number)
    _, log = daemon.communicate(timeout=PATIENCE)
    assert daemon.returncode == 0
    assert "Traceback" not in log
    assert "hunter2" not in log + json.dumps(status)


def test_a_second_agent_on_the_same_state_is_refused(
    daemon: subprocess.Popen[str], config: Path, tmp_path: Path
) -> None:
    wait_until(lambda: is_sampling(tmp_path / "state"), what="samples in the spool")
    second = subprocess.run([*DAEMON, str(config)], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert second.returncode == 6
    assert "another agent" in second.stderr
    assert daemon.poll() is None


def test_a_memory_that_cannot_be_opened_holds_up_drift_alone_and_only_until_it_can_be(
    config: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    (state / "state.db").mkdir(parents=True)
    process = subprocess.Popen([*DAEMON, str(config)], stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: (state / "spool.db").exists() and has_points(state), what="samples in the spool")
        assert "drift" not in ask_agent(str(state))
        (state / "state.db").rmdir()
        wait_until(lambda: is_sampling(state), what="a look at the machine")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert "state cannot be kept there" in log
    assert "Traceback" not in log
    assert not list(state.glob("state.db.aside-*"))


def test_a_memory_of_a_later_version_ends_the_agent_with_one_sentence(config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    StateStore.open(str(tmp_path / "state/state.db"), "", "").close()
    with closing(sqlite3.connect(tmp_path / "state/state.db")) as db, db:
        db.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
    done = subprocess.run([*DAEMON, str(config)], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert "was written by a later version" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_not_acknowledged_is_there_after_a_kill(
    daemon: subprocess.Popen[str], config: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    wait_until(lambda: is_sampling(state), what="samples in the spool")
    before = ask_agent(str(state))["spool"]["lanes"]["metrics"]["points"]
    daemon.kill()
    daemon.wait(PATIENCE)
    again = subprocess.Popen([*DAEMON, str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_sampling(state), what="samples in the spool")
        assert ask_agent(str(state))["spool"]["lanes"]["metrics"]["points"] >= before
    finally:
        again.kill()
        again.wait()


def test_an_agent_that_has_nowhere_to_send_to_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("")
    done = subprocess.run(
        [*DAEMON, str(tmp_path / "agent.toml")], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 64
    assert "has no [[outputs]]; add one" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[agent]\nintervall = "1s"\n', "line 2: agent.intervall"),
        ("[metrics.disk]\nfoo = 1\n", "line 2: metrics.disk.foo"),
        ('[[logs]]\npath = "/x"\nformat = "regex"\npattern = "("\n', "line 4: logs[0].pattern"),
    ],
)
def test_a_mistake_is_one_sentence_and_64(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(text + '[[outputs]]\nurl = "http://127.0.0.1:9"\n')
    environ = {**os.environ, "DRIFTLINE_AGENT_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(
        [*DAEMON, str(path)], capture_output=True, text=True, env=environ, timeout=PATIENCE, check=False
    )
    assert done.returncode == 64
    assert message in done.stderr
    assert "Traceback" not in done.stderr
