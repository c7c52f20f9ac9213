"""`drift store`: makes what a store needs."""

import os
import sys
from typing import Annotated

import typer

from drift_agent.cli.common import EPILOG, make_app
from drift_agent.errors import ConfigError, InputError
from drift_agent.text import shown
from drift_agent.units import parse_duration


def register(app: typer.Typer) -> None:
    """Puts `store` on the command line."""
    group = make_app("Stores of reports and metrics.")
    group.callback()(_group)
    group.command(epilog=EPILOG)(init)
    app.add_typer(group, name="store")


def _group() -> None:
    """Stores of reports and metrics."""


def init(
    url: Annotated[str, typer.Argument(metavar="URL", help="influxdb(s)://HOST:PORT/DATABASE[?org=ORGANISATION]")],
    retention: Annotated[str, typer.Option(metavar="DURATION", help="How long points live; 0s is for ever.")] = "90d",
    token_dir: Annotated[
        str, typer.Option(metavar="DIR", help="Write new tokens to DIR/write.token and DIR/read.token (0600).")
    ] = "",
) -> None:
    """Makes the database of InfluxDB 1.x, or the bucket and two tokens of 2.x; harmless where they are there.

    It needs the rights of an administrator: DRIFTLINE_TOKEN, or DRIFTLINE_USERNAME and DRIFTLINE_PASSWORD_FILE.
    """
    if not url.startswith(("influxdb://", "influxdbs://")):
        raise ConfigError(f"{url}: only influxdb:// and influxdbs:// need init; the embedded store makes itself")
    try:
        seconds = 0.0 if retention in ("0", "0s") else parse_duration(retention)
    except ValueError as error:
        raise ConfigError(f"--retention: {error}") from None
    if token_dir:
        _check_folder(token_dir)
    from drift_collector.store.influx_init import init_store  # brings requests with it

    made = init_store(url, os.environ, seconds)
    sys.stderr.write(f"drift store init: {shown(made.sentence)}\n")
    for kind, token in (("write", made.write_token), ("read", made.read_token)):
        if token and token_dir:
            _write_secret(os.path.join(token_dir, f"{kind}.token"), token)
        elif token:
            sys.stdout.write(f"{kind} {token}\n")
    if made.had_tokens:
        sys.stderr.write("drift store init: its tokens were made before; delete them in InfluxDB to have new ones\n")
    elif made.write_token:
        where = f"are in {token_dir}" if token_dir else "are shown here and never again"
        sys.stderr.write(f"drift store init: the tokens {where}: write is for agents, read for reports\n")


def _check_folder(folder: str) -> None:
    """Before anything is made: a token that cannot be written down would be lost."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}; give another --token-dir") from None
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: cannot be written; give another --token-dir")


def _write_secret(path: str, token: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)
            file.write(token + "\n")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror}; the token is lost, delete it in InfluxDB"
        ) from None
