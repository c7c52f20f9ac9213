"""`drift-agent test` and `drift-agent once`: the agent's work done once, printed or sent."""

import json
import socket
from pathlib import Path
from threading import Event

import pytest

from commands import Commands, Ended
from drift_agent import sample
from drift_agent.cli import agent
from drift_agent.line_protocol import parse
from drift_agent.model import Point
from stub_influx import StubInflux, answer, silence
from trees import bake_tree, make_tree
from waiting import PATIENCE


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is given up because this machine is busy: a test that is about that says so."""
    for name in ("GLANCE_SECONDS", "PATIENCE_SECONDS", "DRAIN_SECONDS"):
        monkeypatch.setattr(sample, name, PATIENCE)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An agent on a root of its own, which writes to `url.txt`'s server: to none as yet."""
    root = make_tree(tmp_path / "root", {"etc": {"motd": "hello\n"}})
    bake_tree(root, tmp_path / "manifest.jsonl").close()
    return write_config(tmp_path, "http://127.0.0.1:9")


def write_config(folder: Path, url: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(
        f"""[agent]
state_dir = {json.dumps(str(folder / "state"))}
instance = "i-1"
host = "web-1"
tags = {{ zone = "a" }}
[image]
root = {json.dumps(str(folder / "root"))}
manifest = {json.dumps(str(folder / "manifest.jsonl"))}
[[outputs]]
url = "{url}"
"""
    )
    return path


class Tried:
    """The agent's commands on one configuration."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._run = Commands(agent.register, capsys=capsys)
        self._config = config

    def __call__(self, command: str) -> Ended:
        return self._run(command, "--config", str(self._config))


@pytest.fixture
def tried(config: Path, capsys: pytest.CaptureFixture[str]) -> Tried:
    return Tried(config, capsys)


def points(ended: Ended) -> list[Point]:
    """Every line of standard output, which must hold nothing else."""
    return [parse(line) for line in ended.out.splitlines()]


class TestPrinting:
    def test_it_prints_metrics_with_their_rates_and_drift_as_they_would_leave(
        self, tried: Tried, tmp_path: Path
    ) -> None:
        (tmp_path / "root/etc/motd").write_text("changed\n")
        ended = tried("test")
        found = points(ended)
        assert (ended.code, ended.err) == (0, "")
        assert any("usage_idle" in point.fields for point in found if point.measurement == "cpu")
        assert [(point.measurement, point.tags.get("kind")) for point in found[-2:]] == [
            ("drift_item", "file"),
            ("drift", None),
        ]
        assert found[-1].fields["state"] == "drifted"
        machine = {"host": "web-1", "image": "demo@1", "group": "default"}
        assert found[-1].tags == {**machine, "instance": "i-1"}
        assert all(machine.items() <= point.tags.items() for point in found)
        assert found[0].tags["zone"] == "a"

    def test_it_needs_no_server_and_makes_no_state_folder(self, tried: Tried, tmp_path: Path) -> None:
        assert tried("test").code == 0
        assert not (tmp_path / "state").exists()

    def test_without_a_manifest_standard_output_is_line_protocol_all_the_same(
        self, tried: Tried, tmp_path: Path
    ) -> None:
        (tmp_path / "manifest.jsonl").unlink()
        ended = tried("test")
        assert points(ended)[-1].fields["state"] == "unverified"
        assert f"{tmp_path}/manifest.jsonl" in ended.err

    def test_drift_that_would_take_too_long_is_left_out_and_standard_error_says_so(
        self, tried: Tried, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sample, "glance", lambda *_: None)
        ended = tried("test")
        assert ended.code == 0
        assert {"cpu", "mem"} <= {point.measurement for point in points(ended)}
        assert "drift" not in {point.measurement for point in points(ended)}
        assert "drift is left out" in ended.err
        assert "drift-agent image check --root" in ended.err


class TestSending:
    def test_it_sends_metrics_and_drift_and_ends_with_the_verdict(self, tried: Tried, tmp_path: Path) -> None:
        (tmp_path / "root/etc/motd").write_text("changed\n")
        with StubInflux() as server:
            write_config(tmp_path, server.url)
            ended = tried("once")
            stored = {parse(line).measurement for line in server.stored}
            assert (ended.code, ended.out) == (2, f"drifted: sent to {server.url.removeprefix('http://')}\n")
        assert {"cpu", "drift", "drift_item"} <= stored

    def test_it_says_whom_it_waits_for(
        self, tried: Tried, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The server says nothing until it was said that it is waited for."""
        said = Event()
        told: list[str] = []

        def tell(text: str) -> None:
            told.append(text)
            said.set()

        def answer_then(connection: socket.socket, closing: Event) -> bool:
            said.wait(600)
            return answer("204 No Content")(connection, closing)

        monkeypatch.setattr(sample, "PATIENCE_SECONDS", 0.01)
        monkeypatch.setattr(sample, "DRAIN_SECONDS", 600.0)
        monkeypatch.setattr(agent, "_tell", tell)
        with StubInflux(ping=answer_then) as server:
            write_config(tmp_path, server.url)
            ended = tried("once")
            assert (ended.code, told) == (0, [f"waiting for {server.url.removeprefix('http://')}, at most 600 s"])

    def test_a_server_that_never_answers_is_waited_for_within_bounds(
        self, tried: Tried, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is lost: it is sent when an agent runs, or the next time."""
        monkeypatch.setattr(sample, "DRAIN_SECONDS", 0.5)
        with StubInflux(ping=silence) as server:
            write_config(tmp_path, server.url)
            ended = tried("once")
        assert ended.code == 1
        assert "not everything could be sent" in ended.out
        with StubInflux() as server:
            write_config(tmp_path, server.url)
            monkeypatch.setattr(sample, "DRAIN_SECONDS", PATIENCE)
            assert tried("once").code == 0
            assert len([line for line in server.stored if line.startswith("drift,")]) >= 2
