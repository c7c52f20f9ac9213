"""`drift store`: makes what a store needs."""

import os
from typing import Annotated

import typer

from drift_agent.cli.common import EPILOG, make_app
from drift_collector.store.influx_init import init_store


def register(app: typer.Typer) -> None:
    """Puts `store` on the command line."""
    group = make_app("Stores of reports.")
    group.callback()(_group)
    group.command(epilog=EPILOG)(init)
    app.add_typer(group, name="store")


def _group() -> None:
    """Stores of reports."""


def init(url: Annotated[str, typer.Argument(metavar="URL")]) -> None:
    """Makes the database."""
    init_store(url, os.environ)
