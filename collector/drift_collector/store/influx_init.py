"""Makes what an InfluxDB store needs."""

from collections.abc import Mapping


def init_store(url: str, environ: Mapping[str, str]) -> None:
    """Makes it."""
    raise NotImplementedError
