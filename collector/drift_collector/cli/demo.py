"""`drift demo`: the main job, on three sample machines, in half a minute."""

import tempfile
from pathlib import Path

import typer

from drift_agent.cli.common import EPILOG, console


def register(app: typer.Typer) -> None:
    """Puts `demo` on the command line."""
    app.command(epilog=EPILOG)(demo)


def demo() -> None:
    """Three agents on three copies of a sample machine, one collector, and one copy that somebody changes."""
    from drift_collector.local.demo import run_demo

    with tempfile.TemporaryDirectory(prefix="driftline-demo-") as folder:
        run_demo(Path(folder), console())
