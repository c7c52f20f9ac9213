"""`drift serve`: the embedded collector."""

import os
import resource
import sys
from typing import Annotated, Final

import typer

from drift_agent.cli.common import EPILOG
from drift_agent.errors import EXIT_OK, ConfigError
from drift_agent.signals import calling_on_signals
from drift_agent.text import shown
from drift_agent.units import parse_duration
from drift_collector.cli.options import ManifestsOption, PublicKeyOption, trust
from drift_collector.server.listen import parse_listen
from drift_collector.store.open import default_database

MOST_RETENTION: Final = 36_525 * 86_400
"""In s; two of that from now is still a time that an SQLite file can hold in ns."""

DEFAULT_LISTEN: Final = "127.0.0.1:8087"
DatabaseOption = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="DRIFTLINE_DATABASE",
        metavar="PATH",
        help="The store's file. [default: $XDG_DATA_HOME/driftline/store.db]",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Puts `serve` on the command line."""
    app.command(epilog=EPILOG)(serve)


def serve(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = DEFAULT_LISTEN,
    database: DatabaseOption = "",
    retention: Annotated[str, typer.Option(metavar="DURATION", help="How long metrics and logs are kept.")] = "7d",
    drift_retention: Annotated[str, typer.Option(metavar="DURATION", help="How long reports are kept.")] = "90d",
    manifests: ManifestsOption = "",
    public: PublicKeyOption = None,
    require_tokens: Annotated[bool, typer.Option(help="Demand tokens on loopback too.")] = False,
    tls_cert: Annotated[str, typer.Option(metavar="FILE", help="Serve HTTPS with this certificate chain …")] = "",
    tls_key: Annotated[str, typer.Option(metavar="FILE", help="… and this key.")] = "",
) -> int:
    """Collects what agents send, as InfluxDB would take it, and shows the fleet; ctrl-C ends it."""
    from drift_collector.server.collector import Collector, Options  # 200 ms that no other command should pay

    host, port = parse_listen(listen)
    if bool(tls_cert) != bool(tls_key):
        raise ConfigError("--tls-cert and --tls-key go together; give both")
    options = Options(
        database=database or default_database(os.environ),
        host=host,
        port=port,
        keep_metrics=_duration("--retention", retention),
        keep_drift=_duration("--drift-retention", drift_retention),
        require_tokens=require_tokens,
        tls=(tls_cert, tls_key) if tls_cert else None,
    )
    collector = Collector(options, trusted=trust(manifests, public), on_fault=_say)
    _allow_many_connections()
    with calling_on_signals(collector.stopped.set), collector:
        _say(f"serving on {collector.url}, store {options.database}; ctrl-C ends it")
        if collector.tokens_demanded:
            _say("tokens are demanded: `drift token add --write` and `--read` make them")
        collector.stopped.wait()
    return EXIT_OK


def _allow_many_connections() -> None:
    """An agent keeps its connection: the usual 1,024 descriptors would be the size of the fleet."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _duration(option: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None
    if seconds < 60:
        raise ConfigError(f"{option} {text}: must be at least 1m")
    if seconds > MOST_RETENTION:
        raise ConfigError(f"{option} {text}: is over a hundred years, more than the store can count; give less")
    return seconds


def _say(message: str) -> None:
    sys.stderr.write(f"drift serve: {shown(message)}\n")
    sys.stderr.flush()
