"""`drift show`: one instance and what differs there."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from drift_agent.cli.common import EPILOG, to_json, write_document
from drift_agent.errors import EXIT_OK, ConfigError, IncompleteError
from drift_collector.cli.options import (
    ManifestsOption,
    OutputOption,
    PublicKeyOption,
    StoreOption,
    trust,
    waiting_for,
    write_text,
)
from drift_collector.fleet.model import Fleet, Verdict
from drift_collector.fleet.read import judged, select
from drift_collector.fleet.systemic import with_missing, with_systemic
from drift_collector.report.document import show_document
from drift_collector.report.instance import print_instance
from drift_collector.store.base import Store
from drift_collector.store.open import open_store

_MOST_NAMED = 5


class ShowFormat(StrEnum):
    """The forms of one instance."""

    text = "text"
    json = "json"


def register(app: typer.Typer) -> None:
    """Puts `show` on the command line."""
    app.command(epilog=EPILOG)(show)


def show(
    instance: Annotated[str, typer.Argument(help="An instance or host, or the beginning of one that no other has.")],
    store: StoreOption = "",
    format_: Annotated[ShowFormat, typer.Option("--format", help="The form.")] = ShowFormat.text,
    output: OutputOption = None,
    manifests: ManifestsOption = "",
    public: PublicKeyOption = None,
) -> int:
    """Shows one instance: verdict, reasons, items that differ. 0 whatever it is, 3 where nobody has that name."""
    now = time.time_ns()
    trusted = trust(manifests, public)()
    opened = open_store(store, os.environ)
    try:
        with waiting_for(store):
            fleet = judged(opened, now, trusted)
            verdict = _one(select(fleet.verdicts, instance), instance)
            items = opened.items(verdict.evidence) if verdict.evidence is not None else []
            verdict = with_missing(_with_systemic(fleet, verdict, opened), items)
    finally:
        opened.close()
    if format_ is ShowFormat.json:
        write_document(to_json(show_document(verdict, items, now)), output)
    else:
        write_text(lambda console: print_instance(fleet, verdict, items, console, now), output)
    return EXIT_OK


def _with_systemic(fleet: Fleet, verdict: Verdict, store: Store) -> Verdict:
    """The verdict with its note on what it shares with the other instances of its image."""
    image = tuple(one for one in fleet.verdicts if one.image == verdict.image)
    noted = with_systemic(replace(fleet, verdicts=image), store.items)
    return next(one for one in noted.verdicts if one.instance == verdict.instance)


def _one(found: Sequence[Verdict], name: str) -> Verdict:
    """The one verdict that was meant.

    Raises:
        IncompleteError: there is none.
        ConfigError: there are several.
    """
    if not found:
        raise IncompleteError(f"no instance or host begins with {name!r}: `drift report` lists those that reported")
    if len(found) > 1:
        named = [f"{one.instance} ({one.host})" if one.host else one.instance for one in found[:_MOST_NAMED]]
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise ConfigError(f"{name!r} could be any of {', '.join(named)}{more}: give more of the name")
    return found[0]
