"""`drift-agent run | once | test | config check | status` (also `drift agent …`)."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from drift_agent.cli.common import EPILOG, make_app
from drift_agent.clock import SystemClock
from drift_agent.config import Config
from drift_agent.config_file import DEFAULT_PATH, load, located
from drift_agent.errors import ConfigError
from drift_agent.model import Lane
from drift_agent.text import shown

ConfigOption = Annotated[
    str, typer.Option("--config", "-c", metavar="FILE", envvar="DRIFTLINE_CONFIG", help="The agent's configuration.")
]


def register(app: typer.Typer) -> None:
    """Puts the agent's commands on the command line."""
    app.command("run", epilog=EPILOG)(run_agent)
    app.command("once", epilog=EPILOG)(once)
    app.command("test", epilog=EPILOG)(print_sample)
    config = make_app("The agent's configuration.")
    config.command("check", epilog=EPILOG)(config_check)
    app.add_typer(config, name="config")


def run_agent(config: ConfigOption = DEFAULT_PATH) -> None:
    """Runs the agent until it is told to end (SIGTERM, ctrl-C)."""
    load_config(config)
    # The daemon never holds this command line's libraries: they would be a third of its memory.
    arguments = [sys.executable, "-I", "-m", "drift_agent.daemon", str(Path(config).absolute())]
    sys.stdout.flush()
    os.execv(sys.executable, arguments)  # noqa: S606


def config_check(config: ConfigOption = DEFAULT_PATH) -> None:
    """Says whether the configuration is right, and what it comes to."""
    from drift_agent.logs.follower import Follower
    from drift_agent.metrics.runner import Runner

    checked = load_config(config)
    metrics = Runner(checked.metrics, checked.agent.interval, SystemClock()).names
    with located(checked):
        Follower(checked.logs, {}, SystemClock()).close()  # compiles every format and pattern
    if not checked.outputs:
        raise ConfigError(f"{config}: has no [[outputs]]; add one with a url, such as 'http://influxdb.example:8086'")
    typer.echo(f"{config}: ok")
    typer.echo(f"  metrics  {' '.join(metrics)}")
    for log in checked.logs:
        typer.echo(f"  log      {log.path or 'journal'} ({log.format})")
    for output in checked.outputs:
        typer.echo(f"  output   {output.label} takes {', '.join(output.lanes)}")


def print_sample(config: ConfigOption = "") -> None:
    """Prints the line protocol that would be sent now: a sample with its rates, and drift.

    Needs no server, and leaves spool and state.db as they are.
    """
    from drift_agent.sample import preview

    checked = load_config(config or (DEFAULT_PATH if Path(DEFAULT_PATH).exists() else None))
    preview(checked, SystemClock(), _print_lines, _tell)


def once(config: ConfigOption = DEFAULT_PATH) -> int:
    """One complete look and one sample, sent; the exit code goes by the agent's own state."""
    from drift_agent.sample import run_once

    outcome = run_once(load_config(config), SystemClock(), _tell)
    typer.echo(outcome.text)
    return outcome.exit_code


def _print_lines(
    lines_by_lane: Mapping[Lane, Sequence[str]],
    *,
    offsets: Mapping[str, bytes] | None = None,  # noqa: ARG001 (there are none: no log is read)
) -> bool:
    for lines in lines_by_lane.values():
        sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
    return True


def _tell(text: str) -> None:
    sys.stderr.write(f"drift-agent: {shown(text)}\n")


def load_config(path: str | None) -> Config:
    """The configuration as the daemon reads it: file, environment, the metrics that there are."""
    from drift_agent.metrics import METRIC_OPTIONS

    return load(path, os.environ, METRIC_OPTIONS)
