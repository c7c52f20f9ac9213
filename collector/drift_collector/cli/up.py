"""`drift up`: collector and agent on this machine, without any configuration."""

import os
from threading import Event

import typer

from drift_agent.cli.common import EPILOG, console
from drift_agent.signals import calling_on_signals


def register(app: typer.Typer) -> None:
    """Puts `up` on the command line."""
    app.command(epilog=EPILOG)(up)


def up() -> None:
    """Watches this machine: bakes its /etc as the image, runs collector and agent, shows a live table."""
    from drift_collector.local.up import Home
    from drift_collector.local.up import up as run_up

    stop = Event()
    with calling_on_signals(stop.set):
        run_up(Home.of(os.environ), console(), stop)
