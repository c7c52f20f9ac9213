"""What a trusted copy of the manifest tells of agents whose own copy was edited. Real agents, a real collector."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from commands import Commands
from drift_agent.image.bake import bake
from drift_agent.image.policy import Policy
from drift_collector.cli.report import register
from drift_collector.local.agents import AgentProcess, LocalAgent
from drift_collector.local.sample import write_sample_tree
from drift_collector.server.collector import Collector, Options
from waiting import wait_until


class Box:
    """A sample machine with the manifest that lies on it, and the trusted copy that does not."""

    def __init__(self, folder: Path, drift: Commands) -> None:
        self.root = folder / "root"
        self.manifest = folder / "manifest.jsonl"
        self.trusted = folder / "trusted"
        self._folder = folder
        self._drift = drift
        self.root.mkdir()
        self.trusted.mkdir()
        write_sample_tree(self.root)
        self.bake()
        (self.trusted / "web.jsonl").write_bytes(self.manifest.read_bytes())

    def bake(self) -> None:
        bake(str(self.root), "web", "42", Policy.of([], kinds=["file"]), str(self.manifest))

    def tamper(self) -> None:
        (self.root / "etc/motd").write_text("welcome, everybody\n")

    def verdict(self, wanted: str, *, believed: bool = False) -> dict[str, Any]:
        """The verdict once an agent has run for as long as it takes to be `wanted`."""
        options = Options(str(self._folder / "store.db"), port=0)
        with Collector(options) as collector:
            agent = LocalAgent(
                folder=self._folder / "agent", root=self.root, manifest=self.manifest, url=collector.url,
                instance="i-1", host="web-1", interval="1s", report_interval="1s",
            )  # fmt: skip
            started = time.time_ns()
            found: dict[str, Any] = {}

            def is_wanted() -> bool:
                found.clear()
                found.update(self._report(believed, started))
                return found.get("state") == wanted and "pending" not in codes(found)  # which is unverified, too

            with AgentProcess(agent):
                wait_until(is_wanted, what=f"a verdict {wanted}")
            return found

    def _report(self, believed: bool, since: int) -> dict[str, Any]:
        trust = [] if believed else ["--manifests", str(self.trusted)]
        ended = self._drift("report", "--format", "json", "--store", f"sqlite://{self._folder}/store.db", *trust)
        if not ended.out:
            return {}
        found = json.loads(ended.out)["instances"]
        return next((one for one in found if time_of(one["last_seen"]) > since), {})


def time_of(text: str) -> int:
    """Unix ns of an RFC 3339 time."""
    return round(datetime.fromisoformat(text).timestamp() * 1e9)


@pytest.fixture
def box(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Box:
    return Box(tmp_path, Commands(register, capsys=capsys))


def codes(verdict: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in verdict["reasons"]]


def test_a_machine_that_is_what_was_baked_is_clean_against_the_trusted_manifest(box: Box) -> None:
    assert codes(box.verdict("clean")) == []


def test_a_manifest_baked_anew_on_the_box_is_believed_by_its_agent_alone(box: Box) -> None:
    box.tamper()
    box.bake()
    assert codes(box.verdict("clean", believed=True)) == []
    assert codes(box.verdict("unverified")) == ["manifest"]


def test_a_manifest_edited_under_its_old_header_is_drift(box: Box) -> None:
    box.tamper()
    genuine = box.manifest.read_bytes()
    box.bake()
    header, _, _ = genuine.partition(b"\n")
    _, _, items = box.manifest.read_bytes().partition(b"\n")
    length = json.loads(header)["length"]
    box.manifest.write_bytes(header.replace(b'"length":%d' % length, b'"length":%d' % len(items)) + b"\n" + items)
    verdict = box.verdict("drifted")
    assert codes(verdict) == ["observed"]
    assert verdict["modified"] == 0
