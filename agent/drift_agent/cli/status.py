"""`drift-agent status`: what the running agent sees, keeps and sends."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from drift_agent.cli.agent import ConfigOption, load_config
from drift_agent.cli.common import EPILOG, OutputOption, to_json, write_document
from drift_agent.config_file import DEFAULT_PATH
from drift_agent.status import Document, ask_agent
from drift_agent.text import shown
from drift_agent.units import format_bytes


class StatusFormat(StrEnum):
    """The forms of a status."""

    text = "text"
    json = "json"


def register(app: typer.Typer) -> None:
    """Puts `status` on the command line."""
    app.command("status", epilog=EPILOG)(status)


def status(
    config: ConfigOption = DEFAULT_PATH,
    format_: Annotated[StatusFormat, typer.Option("--format", help="The form.")] = StatusFormat.text,
    output: OutputOption = None,
) -> None:
    """Shows the running agent: its state, what waits in the spool, and each output's last answer."""
    document = ask_agent(load_config(config).agent.state_dir)
    text = to_json(document) if format_ is StatusFormat.json else "\n".join(status_lines(document)) + "\n"
    write_document(text, output)


def status_lines(document: Document) -> Iterator[str]:
    """The document for people."""
    identity = document.get("identity")
    yield f"driftline {document['version']}, process {document['pid']}, since {document['started']}"
    if identity is None:
        yield "identity  not known yet"
        return
    yield f"identity  {shown(identity['instance'])} ({shown(identity['host'])}), image {shown(identity['image'])}"
    yield from _drift_lines(document.get("drift", {}))
    for name, stats in document.get("metrics", {}).items():
        if stats["gather_errors"] or stats["gather_timeouts"]:
            yield f"metric    {name}: {stats['gather_errors']} errors, {stats['gather_timeouts']} timeouts"
    yield from _spool_lines(document.get("spool", {}))
    for one in document.get("outputs", []):
        yield from _output_lines(one)


def _drift_lines(drift: dict[str, Any]) -> Iterator[str]:
    if not drift:
        return
    yield f"drift     {drift['state']}, {drift['outstanding']} outstanding, {drift['reverted']} reverted"
    if drift["problem"]:
        yield f"          {shown(drift['problem'])}"
    scanned = f"{drift['scan_at']}, took {drift['scan_seconds']:.1f} s" if drift["scan_at"] else "none yet"
    yield f"          last complete scan {scanned}"
    watched = " ".join(drift["watched"]) or "nothing"
    yield f"          watched {watched}; everything else is found by the scans"
    if drift["degraded"]:
        yield f"          degraded: {shown(drift['degraded'])}"
    for one in drift["unreadable"]:
        yield f"          unreadable {shown(one)}"


def _spool_lines(spool: dict[str, Any]) -> Iterator[str]:
    for lane, waiting in spool.get("lanes", {}).items():
        oldest = f", oldest {waiting['oldest']}" if waiting["oldest"] else ""
        yield f"spool     {lane:8} {waiting['points']} points, {format_bytes(waiting['bytes'])}{oldest}"
    if spool and not spool["writable"]:
        yield "          cannot be written: drift and metrics are kept in memory, logs wait in their files"
    for name in spool.get("damaged", []):
        yield f"          a damaged file was set aside: {shown(name)}"


def _output_lines(one: dict[str, Any]) -> Iterator[str]:
    waiting = sum(one["waiting"].values())
    yield f"output    {shown(one['name'])} takes {', '.join(one['lanes'])}; {waiting} points wait"
    yield f"          written {one['written']}, dropped {one['dropped']}, rejected {one['rejected']}"
    yield f"          last acknowledgement {one['last_ack'] or 'none yet'}"
    if one["last_error"]:
        retry = f", next try {one['retry_at']}" if one["retry_at"] else ""
        yield f"          last error {one['last_error_at']}: {shown(one['last_error'])}{retry}"
