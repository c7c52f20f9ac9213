"""What the commands that read a fleet share: their options, whom is trusted, where text goes."""

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Timer
from typing import Annotated, Final

import typer
from rich.console import Console

from drift_agent.cli.common import STANDARD_OUTPUT, console, write_document
from drift_agent.cli.common import OutputOption as OutputOption  # noqa: PLC0414 (beside its siblings)
from drift_agent.errors import ConfigError
from drift_agent.text import shown
from drift_collector.fleet.model import Trusted
from drift_collector.images import TrustedFolder

PATIENCE_SECONDS: Final = 2.0
"""A store that answers does so sooner, most of the time."""

StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="DRIFTLINE_STORE",
        metavar="URL",
        help="Where the reports are: sqlite:///PATH, http(s)://COLLECTOR or influxdb(s)://HOST:PORT/DB; "
        "by default what `drift up` and `drift serve` fill.",
        show_default=False,
    ),
]
ManifestsOption = Annotated[
    str,
    typer.Option(
        "--manifests",
        envvar="DRIFTLINE_MANIFESTS",
        metavar="DIR",
        help="Folder of the trusted manifests; without one the agents' own word counts.",
        show_default=False,
    ),
]
PublicKeyOption = Annotated[
    str | None,
    typer.Option(
        "--public",
        envvar="DRIFTLINE_PUBLIC_KEY",
        metavar="FILE",
        help="Public key that must have signed each of them (`drift image sign`).",
        show_default=False,
    ),
]


def trust(folder: str, public_key: str | None) -> Callable[[], Mapping[str, Trusted] | None]:
    """Gives what the manifests of a folder say now; None, so that the agents' own word counts, where none is named.

    Raises:
        ConfigError: there is a key and no folder; or as `load_trusted`, which is asked at once.
    """
    if folder:
        trusted = TrustedFolder(folder, public_key)
        trusted()  # a mistake shows at the start
        return trusted
    if public_key is not None:
        raise ConfigError("--public is the key of the trusted manifests: name their folder with --manifests")
    return lambda: None


@contextmanager
def waiting_for(store: str) -> Iterator[None]:
    """Says on a terminal whom we wait for, once what is done within has taken `PATIENCE_SECONDS`."""
    said = shown(f"drift: waiting for {store or 'the store'} …")
    timer = Timer(PATIENCE_SECONDS, lambda: sys.stderr.write(f"{said}\n"))
    timer.daemon = True
    if sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def write_text(write: Callable[[Console], None], output: str | None) -> None:
    """Text to standard output (`output` None or `-`), or plain to the file `output`."""
    if output is None or output == STANDARD_OUTPUT:
        write(console())
        return
    text = io.StringIO()
    write(Console(file=text, force_terminal=False, soft_wrap=True, highlight=False))
    write_document(text.getvalue(), output)
