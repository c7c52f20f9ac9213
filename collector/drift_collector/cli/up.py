"""`drift up`: collector and agent on this machine, without any configuration."""

import os

import typer

from drift_agent.cli.common import EPILOG, console


def register(app: typer.Typer) -> None:
    """Puts `up` on the command line."""
    app.command(epilog=EPILOG)(up)


def up() -> None:
    """Watches this machine: bakes its /etc as the image, runs collector and agent, shows a live table."""
    from drift_collector.local.up import Home, ended_by_signals
    from drift_collector.local.up import up as run_up

    with ended_by_signals() as stop:
        run_up(Home.of(os.environ), console(), stop)
