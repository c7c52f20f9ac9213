"""`drift up`: this machine as a fleet of one, without any configuration."""

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from drift_agent.image.bake import bake
from drift_agent.image.policy import Policy, Rule
from drift_collector.fleet.model import Fleet
from drift_collector.fleet.read import judged
from drift_collector.local.agents import AgentProcess, LocalAgent
from drift_collector.paths import DATA, STATE, data_home, make_folder, state_home
from drift_collector.report.table import footer, instances_table, print_report
from drift_collector.server.collector import Collector, Options
from drift_collector.store.sqlite import SqliteStore

REFRESH_SECONDS: Final = 1.0

ONLY_ETC: Final = Policy.of(
    [
        Rule("/**", "ignored", why="drift up compares /etc alone"),
        Rule("/etc/***", "frozen", why="the image is this machine's /etc, as it was at the first drift up"),
    ],
    kinds=["file"],
)


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one user's `drift up`."""

    data: Path
    state: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Home":
        return cls(data_home(environ), state_home(environ))

    @property
    def store(self) -> Path:
        """The operators' own store: `drift report` reads it too."""
        return self.data / "store.db"

    @property
    def manifest(self) -> Path:
        return self.data / "up" / "manifest.jsonl"

    @property
    def agent(self) -> Path:
        return self.state / "up"


def up(home: Home, console: Console, stop: Event, root: str = "/") -> None:
    """Bakes if there is no image yet, runs collector and agent, and shows the fleet until `stop` is set.

    Raises:
        ConfigError: a folder of `home` cannot be written in.
        LockHeldError: another collector writes the store.
        DriftlineError: the agent ended by itself.
    """
    for folder, variable in ((home.data, DATA), (home.manifest.parent, DATA), (home.agent, STATE)):
        make_folder(folder, variable)
    if not home.manifest.exists():
        _bake(home, console, root)
    with ExitStack() as stack:
        collector = stack.enter_context(Collector(Options(str(home.store), port=0)))
        store = SqliteStore(str(home.store))
        stack.callback(store.close)
        agent = LocalAgent(home.agent, Path(root), home.manifest, collector.url, host=socket.gethostname())
        process = stack.enter_context(AgentProcess(agent))
        console.print(f"Fleet page {collector.url}/ · store {home.store} · agent's log {home.agent / 'agent.log'}")
        console.print(f"Image {home.manifest} · to start over, remove {home.data} and {home.state} · ctrl-C ends it\n")
        _show(console, stop, process, lambda: judged(store, time.time_ns()))


def _bake(home: Home, console: Console, root: str) -> None:
    name = socket.gethostname().lower() or "local"
    header = bake(root, name, "", ONLY_ETC, str(home.manifest), allow_unreadable=True, keep_content=True)
    unreadable = f", {header.unreadable} unreadable for this user" if header.unreadable else ""
    console.print(
        f"Baked {root.rstrip('/')}/etc as image {header.stamp}: {sum(header.counts.values())} items{unreadable}"
    )


def _show(console: Console, stop: Event, process: AgentProcess, fleet: Callable[[], Fleet]) -> None:
    """A live table on a terminal; elsewhere the report, each time that a verdict changes."""
    if not console.is_terminal:
        last: list[object] = []
        while not stop.wait(REFRESH_SECONDS):
            process.check()
            now = fleet()
            states = [(one.instance, one.state, one.announced, one.reverted) for one in now.verdicts]
            if last != states:
                print_report(now, console, time.time_ns())
                last = [*states]
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            process.check()
            live.update(_picture(fleet(), console), refresh=True)
            if stop.wait(REFRESH_SECONDS):
                return


def _picture(fleet: Fleet, console: Console) -> RenderableType:
    if not fleet.verdicts:
        return Text("waiting for the agent's first report …", style="dim")
    return Group(instances_table(fleet.verdicts, time.time_ns(), console.width), Text(), *footer(fleet))
