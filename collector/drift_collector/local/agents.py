"""Agents of this machine as processes of their own: started, watched, ended."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from drift_agent.errors import DriftlineError

STOP_SECONDS: Final = 30.0
"""An agent that is slow to end has a last look to finish and a server to wait for, each within 10 s."""


@dataclass(frozen=True, slots=True)
class LocalAgent:
    """What an agent of this machine needs to be told. `token` goes through the environment, never into the file."""

    folder: Path
    root: Path
    manifest: Path
    url: str
    token: str = ""
    database: str = "driftline"
    org: str = ""
    instance: str = ""
    host: str = ""
    interval: str = "5s"
    report_interval: str = "10s"
    scan_interval: str = "60s"

    def write_config(self) -> Path:
        """Writes `agent.toml` into the agent's folder and returns its path."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tables = {
            "agent": {
                "interval": self.interval,
                "report_interval": self.report_interval,
                "state_dir": str(self.folder / "state"),
                "instance": self.instance,
                "host": self.host,
            },
            "image": {
                "root": str(self.root),
                "manifest": str(self.manifest),
                "scan_interval": self.scan_interval,
            },
        }
        output = {"url": self.url, "database": self.database, "org": self.org}
        sections = {**{f"[{name}]": keys for name, keys in tables.items()}, "[[outputs]]": output}
        lines = []
        for header, keys in sections.items():
            lines += [header, *(f"{key} = {json.dumps(value)}" for key, value in keys.items() if value), ""]
        path = self.folder / "agent.toml"
        path.write_text("\n".join(lines))
        return path


class AgentProcess:
    """A running agent. Its log goes to `agent.log` in its folder.

    On exit it is asked to end (SIGTERM), then, after `STOP_SECONDS`, made to.
    """

    def __init__(self, agent: LocalAgent) -> None:
        self._log = agent.folder / "agent.log"
        config = agent.write_config()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")}
        if agent.token:
            environ["DRIFTLINE_OUTPUTS_0_TOKEN"] = agent.token
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "drift_agent.daemon", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                start_new_session=True,  # ctrl-C in the terminal is ours to pass on
            )

    def check(self) -> None:
        """Nothing where the agent runs.

        Raises:
            DriftlineError: it has ended; the message holds the last line of its log.
        """
        if self._process.poll() is not None:
            lines = self._log.read_text(errors="replace").splitlines() or ["it said nothing"]
            raise DriftlineError(f"the agent ended with {self._process.returncode}: {lines[-1]} (see {self._log})")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
