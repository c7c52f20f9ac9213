"""`drift token`: who may write to and read from an embedded store."""

import os
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from drift_agent.cli.common import EPILOG, OutputOption, make_app, to_json, write_document
from drift_agent.errors import ConfigError
from drift_agent.text import shown
from drift_collector.cli.serve import DatabaseOption
from drift_collector.store.open import default_database
from drift_collector.store.tokens import Scope, Tokens


class TokenFormat(StrEnum):
    """The forms of the list."""

    table = "table"
    json = "json"


def register(app: typer.Typer) -> None:
    """Puts `token` on the command line."""
    group = make_app("Tokens of the embedded store: who may write to it, and who may read.")
    group.command(epilog=EPILOG)(add)
    group.command("list", epilog=EPILOG)(list_)
    group.command(epilog=EPILOG)(revoke)
    app.add_typer(group, name="token")


def add(
    write: Annotated[bool, typer.Option("--write", help="For agents: may write, and nothing else.")] = False,
    read: Annotated[bool, typer.Option("--read", help="For people and `drift report`: may read.")] = False,
    instance: Annotated[str, typer.Option(metavar="I", help="With --write: only as this instance.")] = "",
    database: DatabaseOption = "",
) -> None:
    """Makes a token and prints it, once; only its hash is kept."""
    if write == read:
        raise ConfigError("say --write or --read, one of them")
    if instance and read:
        raise ConfigError("--instance goes with --write: a reader sees the whole fleet")
    scope: Scope = "write" if write else "read"
    tokens = _open(database)
    try:
        token, secret = tokens.add(scope, instance, time.time_ns())
    finally:
        tokens.close()
    sys.stdout.write(secret + "\n")
    whom = f" of instance {shown(instance)}" if instance else ""
    sys.stderr.write(f"drift token: {scope} token {token.id}{whom}; it is shown here and never again\n")


def list_(
    format_: Annotated[TokenFormat, typer.Option("--format", help="The form.")] = TokenFormat.table,
    output: OutputOption = None,
    database: DatabaseOption = "",
) -> None:
    """Lists the tokens, never their secrets."""
    tokens = _open(database)
    try:
        known = tokens.all()
    finally:
        tokens.close()
    rows = [
        {"id": token.id, "scope": token.scope, "instance": token.instance, "created": _stamp(token.created)}
        for token in known
    ]
    if format_ is TokenFormat.json:
        write_document(to_json({"schema": "driftline.tokens/1", "tokens": rows}), output)
        return
    lines = [f"{'ID':<12}  {'SCOPE':<5}  {'CREATED':<20}  INSTANCE"]
    lines += [
        f"{row['id']:<12}  {row['scope']:<5}  {row['created']:<20}  {shown(row['instance']) or 'any'}".rstrip()
        for row in rows
    ]
    write_document("\n".join(lines) + "\n" if rows else "no tokens; `drift token add` makes one\n", output)


def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `drift token list` shows it.")],
    database: DatabaseOption = "",
) -> None:
    """Ends a token at once, in a server that runs too."""
    tokens = _open(database)
    try:
        token = tokens.revoke(token_id)
    finally:
        tokens.close()
    sys.stderr.write(f"drift token: {token.scope} token {token.id} is no longer valid\n")


def _open(database: str) -> Tokens:
    return Tokens(database or default_database(os.environ))


def _stamp(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
