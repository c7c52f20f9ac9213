"""`drift demo`: bake, three machines, one that is changed, and the report that flags exactly that one."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console

from drift_agent.errors import DriftlineError
from drift_agent.image.bake import bake
from drift_agent.image.policy import Policy
from drift_collector.fleet.model import Fleet, Verdict
from drift_collector.fleet.read import judged
from drift_collector.local.agents import AgentProcess, LocalAgent
from drift_collector.local.sample import CHANGES, tamper, write_sample_tree
from drift_collector.report.instance import print_instance
from drift_collector.report.table import print_report
from drift_collector.server.collector import Collector, Options
from drift_collector.store.sqlite import SqliteStore

MACHINES: Final = ("web-1", "web-2", "web-3")
CHANGED: Final = "web-2"
PATIENCE_SECONDS: Final = 90.0
"""For each of the two waits; an idle laptop needs about three. Scans give way to everything else a machine does."""


def run_demo(folder: Path, console: Console) -> None:
    """Plays the whole story within `folder`, and says what it does.

    Raises:
        DriftlineError: the report did not come to what it must: the demo is a test of its own.
    """
    manifest = _bake(folder, console)
    with ExitStack() as stack:
        collector = stack.enter_context(Collector(Options(str(folder / "store.db"), port=0)))
        store = SqliteStore(str(folder / "store.db"))
        stack.callback(store.close)
        console.print(f"2. Three machines are launched from it, an agent on each, one collector on {collector.url}.")
        agents = [
            stack.enter_context(AgentProcess(_machine(folder, name, manifest, collector.url))) for name in MACHINES
        ]

        def fleet() -> Fleet:
            for agent in agents:
                agent.check()
            return judged(store, time.time_ns())

        _wait(fleet, dict.fromkeys(MACHINES, "clean"))
        console.print("   All three report that they are what was baked.\n")
        console.print(f"3. Somebody changes files of {CHANGED}:")
        for change in CHANGES:
            console.print(f"   {change}")
        tamper(folder / CHANGED)
        changed = time.monotonic()
        found = _wait(fleet, {name: "drifted" if name == CHANGED else "clean" for name in MACHINES}, len(CHANGES))
        console.print(f"   It was in the store {time.monotonic() - changed:.1f} s later.\n")
        console.print("4. drift report\n")
        print_report(found, console, time.time_ns())
        console.print(f"\n5. drift show {CHANGED}\n")
        verdict = _of(found, CHANGED)
        items = store.items(verdict.evidence) if verdict.evidence else []
        print_instance(found, verdict, items, console, time.time_ns())
    console.print(f"\n{CHANGED} is to be recycled; the other two are what was baked.")


def _bake(folder: Path, console: Console) -> Path:
    image = folder / "image"
    for root in (image, *(folder / name for name in MACHINES)):
        root.mkdir()
        write_sample_tree(root)
    manifest = folder / "manifest.jsonl"
    header = bake(str(image), "web", "42", Policy.of([], kinds=["file"]), str(manifest), keep_content=True)
    console.print(f"1. An image is baked: {header.stamp}, {sum(header.counts.values())} items in its manifest.")
    return manifest


def _machine(folder: Path, name: str, manifest: Path, url: str) -> LocalAgent:
    return LocalAgent(
        folder=folder / f"{name}-agent",
        root=folder / name,
        manifest=manifest,
        url=url,
        instance=name,
        host=name,
        interval="1s",
        report_interval="2s",
    )


def _wait(fleet: Callable[[], Fleet], wanted: dict[str, str], changes: int = 0) -> Fleet:
    """The fleet, as soon as its states are `wanted`, with `changes` on the machine that was changed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        now = fleet()
        states = {verdict.instance: verdict.state for verdict in now.verdicts}
        if states == wanted and (not changes or _of(now, CHANGED).announced == changes):
            return now
        if time.monotonic() > deadline:
            said = ", ".join(f"{name} {state}" for name, state in sorted(states.items())) or "nothing"
            raise DriftlineError(f"the demo failed: after {PATIENCE_SECONDS:.0f} s the report said: {said}")
        time.sleep(0.1)


def _of(fleet: Fleet, instance: str) -> Verdict:
    return next(verdict for verdict in fleet.verdicts if verdict.instance == instance)
