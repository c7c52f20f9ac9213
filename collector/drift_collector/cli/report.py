"""`drift report`: the verdict on every instance."""

import os
import time
from typing import Annotated

import typer

from drift_agent.cli.common import EPILOG
from drift_agent.errors import ConfigError
from drift_collector.cli.options import (
    ManifestsOption,
    OutputOption,
    PublicKeyOption,
    StoreOption,
    trust,
    waiting_for,
    write_text,
)
from drift_collector.fleet.read import judged
from drift_collector.fleet.systemic import with_systemic
from drift_collector.inventory.file import read_inventory
from drift_collector.report import FORMAT_NAMES, FORMATS, format_named
from drift_collector.store.open import open_store


def register(app: typer.Typer) -> None:
    """Puts `report` on the command line."""
    app.command(epilog=EPILOG)(report)


def report(
    store: StoreOption = "",
    format_: Annotated[str, typer.Option("--format", metavar=FORMAT_NAMES, help="The form.")] = FORMATS[0].name,
    output: OutputOption = None,
    manifests: ManifestsOption = "",
    public: PublicKeyOption = None,
    expect: Annotated[
        int | None, typer.Option("--expect", min=0, metavar="N", help="How many instances there should be.")
    ] = None,
    inventory: Annotated[
        str | None,
        typer.Option(
            "--inventory", metavar="FILE", help="The instances that there should be, one a line; - reads them."
        ),
    ] = None,
    floor: Annotated[
        float, typer.Option("--floor", min=0.0, max=1.0, help="Least share of them that must be fresh for exit 0.")
    ] = 1.0,
    all_: Annotated[
        bool, typer.Option("--all", help="List every instance of a large fleet on a terminal too.")
    ] = False,
) -> int:
    """Says of every instance whether it still is what was baked, worst first."""
    if expect is not None and inventory is not None:
        raise ConfigError("--expect and --inventory both say who should be there: give one of them")
    form, now = format_named(format_), time.time_ns()
    expected = expect if inventory is None else read_inventory(inventory)
    trusted = trust(manifests, public)()
    opened = open_store(store, os.environ)
    try:
        with waiting_for(store):
            fleet = with_systemic(judged(opened, now, trusted, expected), opened.items)
    finally:
        opened.close()
    write_text(lambda console: form.write(fleet, console, now, all_), output)
    return fleet.exit_code(floor)
