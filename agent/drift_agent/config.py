"""The agent's configuration as values: every key with its type, default, and what it says.

The dataclasses are the table from which `config_file` reads and the docs are made: a field's metadata holds its help
and, where the text form differs from the value, how it is parsed. Durations are seconds, sizes bytes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from drift_agent.model import LANES, Lane
from drift_agent.units import parse_duration, parse_size

Parser = Callable[[object], Any]


def as_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def as_name(value: object) -> str:
    """What stands in tags, requests and terminals: one line of text."""
    text = as_text(value)
    if not text.isprintable():
        raise ValueError("must not hold control characters")
    return text


def as_path(value: object) -> str:
    """The agent is started from anywhere: a relative path would be another one each time."""
    text = as_text(value)
    if not text.startswith("/") or "\0" in text:
        raise ValueError("must be a path that begins with /")
    return text


def _duration(least: str, most: str) -> Parser:
    """A duration with limits, both included.

    How long silence may pass for health is not for a host to choose, nor how often it may ask for everything at once.
    """
    shortest, longest = parse_duration(least), parse_duration(most)

    def duration(value: object) -> float:
        if not isinstance(value, str):
            raise ValueError("must be a duration such as '10s' or '1h30m'")
        seconds = parse_duration(value)
        if not shortest <= seconds <= longest:
            raise ValueError(f"must be at least {least} and at most {most}")
        return seconds

    return duration


as_interval: Final = _duration("100ms", "366d")


def as_size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a number of bytes, or a size such as '64MiB'")
    size = value if isinstance(value, int) else parse_size(value)
    if not 0 <= size < 1 << 60:
        raise ValueError("must not be negative, nor beyond any disk")
    return size


def _capacity(value: object) -> int:
    size = as_size(value)
    if size < 1 << 20:
        raise ValueError("must be at least 1MiB")
    return size


def as_rate(value: object) -> int:
    """A count per second; 0 is unlimited."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be a whole number, 0 for unlimited")
    return value


def as_texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ValueError('must be a list of strings, such as ["a", "b"]')
    return tuple(value)


def as_tags(value: object) -> dict[str, str]:
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not all("=" in part for part in parts):
            raise ValueError("must be NAME=VALUE, several with a comma between")
        value = dict(part.split("=", 1) for part in parts)
    if not isinstance(value, dict) or not all(isinstance(part, str) for part in value.values()):
        raise ValueError('must be a table of strings, such as { zone = "a" }')
    for name in value:
        if name in ("time", "host", "image", "group", "instance") or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f"{name!r} cannot be the name of a tag")
    return {name: text for name, text in value.items() if text}


def as_lanes(value: object) -> tuple[Lane, ...]:
    wanted = as_texts(value)
    unknown = [lane for lane in wanted if lane not in LANES]
    if unknown or not wanted:
        raise ValueError(f"may hold {', '.join(LANES)}, and at least one of them")
    return tuple(lane for lane in LANES if lane in wanted)


def as_http_url(value: object) -> str:
    text = as_text(value)
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, a bracket is open
        sound = False
    if not sound or any(char.isspace() or not char.isprintable() for char in text):
        raise ValueError("must be an address such as 'http://influxdb.example:8086'")
    if parts.username or parts.password:
        raise ValueError("must not hold credentials: use token, token_file, or username and password_file")
    return text.rstrip("/")


def as_server_url(value: object) -> str:
    """Where requests are made: their paths and queries are put behind it."""
    text = as_http_url(value)
    if "?" in text or "#" in text:
        raise ValueError("must end before the '?': database, org, token and the like are keys of their own")
    return text


def as_routes(value: object) -> dict[str, str]:
    """Values of a tag, in the order in which they are tried."""
    if not isinstance(value, dict) or not all(isinstance(part, str) and part for part in value.values()):
        raise ValueError('must be a table of expressions, such as { api = "/api/" }')
    for name in value:
        if not name or not name.isprintable():
            raise ValueError(f"{name!r} cannot be the name of a route")
    return dict(value)


def as_boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("must be true or false")


def option(default: object, parse: Parser, help_: str) -> Any:  # noqa: ANN401 (stands for a field of any type)
    """A dataclass field that can be configured."""
    metadata = {"parse": parse, "help": help_}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """`[agent]`"""

    interval: float = option(10.0, as_interval, "how often metrics are gathered")
    report_interval: float = option(
        60.0, _duration("1s", "1h"), "how often a `drift` point is sent when nothing changes; at most 1h"
    )
    flush_interval: float = option(
        0.0, as_interval, "how often metrics and logs are sent; drift goes at once (interval)"
    )
    state_dir: str = option("/var/lib/driftline", as_path, "folder of state.db, spool.db and the stat cache")
    host: str = option("", as_name, "value of the tag `host` (hostname, or the instance where that is the baked one)")
    instance: str = option("", as_name, "value of the tag `instance` (the cloud's id, or a hash of machine-id)")
    group: str = option("default", as_name, "value of the tag `group`")
    tags: Mapping[str, str] = option({}, as_tags, "further tags on metrics and logs; few, and bounded")


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """`[image]`"""

    root: str = option("/", as_path, "the root that is compared")
    manifest: str = option("/usr/lib/driftline/manifest.jsonl", as_path, "the manifest baked with the image")
    scan_interval: float = option(900.0, _duration("1s", "24h"), "how often everything is looked at again; at most 24h")
    rehash_interval: float = option(
        86400.0, _duration("1s", "366d"), "how often unchanged files are hashed again all the same"
    )
    settle: float = option(
        600.0,
        _duration("100ms", "1h"),
        "how long the seal waits for cloud-init, and for what cannot be read yet; at most 1h",
    )
    watch: bool = option(True, as_boolean, "watch for changes between scans")
    files_per_second: int = option(0, as_rate, "limit of a scan; 0 is unlimited")
    bytes_per_second: int = option(0, as_size, "limit of a scan's hashing; 0 is unlimited")
    allow_logins: tuple[str, ...] = option((), as_texts, "users whose logins do not taint (automation)")


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """`[metrics]`; `[metrics.NAME]` stands in `own`, checked by the metric itself."""

    enable: tuple[str, ...] = option((), as_texts, "metrics added to the defaults")
    disable: tuple[str, ...] = option((), as_texts, "metrics taken from the defaults")
    own: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """`[spool]`"""

    max_bytes: int = option(256 << 20, _capacity, "cap of what waits; its files stay below 1.5 times that")
    max_age: float = option(7 * 86400.0, _duration("1s", "366d"), "what is older is dropped, and counted")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`[[logs]]`"""

    path: str = option("", as_path, "glob of the files to follow")
    journal: bool = option(False, as_boolean, "follow the systemd journal instead of files")
    format: str = option("syslog", as_text, "a format's name, or an nginx log_format (anything that holds `$`)")
    name: str = option("", as_name, "measurement, or the tag `log` of access logs (the file's stem)")
    tags: tuple[str, ...] = option((), as_texts, "JSON keys, or named groups, that become tags")
    from_: str = option("auto", as_text, "auto, beginning or end: where files start that are there at the first start")
    pattern: str = option("", as_text, 'expression of `format = "regex"`; elsewhere, of the only messages that count')
    multiline_start: str = option("", as_text, "regular expression of a record's first line")
    time_key: str = option("", as_text, "JSON key that holds the time")
    routes: Mapping[str, str] = option({}, as_routes, "route = regular expression of the paths that belong to it")
    severities: tuple[str, ...] = option((), as_texts, "severities whose raw lines are shipped (all)")


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """`[[outputs]]`"""

    url: str = option("", as_server_url, "where to send; required")
    name: str = option("", as_name, "what to call it in status and metrics (host:port)")
    database: str = option("driftline", as_name, "database of `/write`")
    org: str = option("", as_name, "organisation; with it, `/api/v2/write` is used")
    bucket: str = option("", as_name, "bucket (the database's name)")
    token: str = option("", as_text, "token; better a token_file")
    token_file: str = option("", as_text, "file that holds the token; read again when it changes")
    username: str = option("", as_text, "user of InfluxDB 1.x")
    password_file: str = option("", as_text, "file that holds that user's password")
    lanes: tuple[Lane, ...] = option(LANES, as_lanes, "what goes there: drift, logs, metrics")
    ca_file: str = option("", as_text, "CA certificates to trust (the system's)")
    cert_file: str = option("", as_text, "client certificate, for mutual TLS")
    key_file: str = option("", as_text, "its key")
    proxy: str = option("", as_http_url, "HTTP proxy (the environment's)")
    backfill_rate: int = option(0, as_rate, "points per second of old data; 0 is unlimited")

    @property
    def label(self) -> str:
        """What to call this output: its name, else host and port."""
        return self.name or urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True)
class Config:
    """Everything, validated. `source` is the file that it came from."""

    agent: AgentOptions = field(default_factory=AgentOptions)
    image: ImageOptions = field(default_factory=ImageOptions)
    metrics: MetricsOptions = field(default_factory=MetricsOptions)
    spool: SpoolOptions = field(default_factory=SpoolOptions)
    logs: tuple[LogOptions, ...] = ()
    outputs: tuple[OutputOptions, ...] = ()
    source: str = ""


LOG_STARTS: Final = ("auto", "beginning", "end")

TABLES: Final[Mapping[str, type]] = {
    "agent": AgentOptions,
    "image": ImageOptions,
    "metrics": MetricsOptions,
    "spool": SpoolOptions,
}
LISTS: Final[Mapping[str, type]] = {"logs": LogOptions, "outputs": OutputOptions}
"""The sections, by what stands between their brackets."""


def key_of(item: Field[Any]) -> str:
    """What an option is called in a file: a word of Python's has an underscore behind it."""
    return item.name.rstrip("_")
