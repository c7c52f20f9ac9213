"""TOML and environment → one `Config`. Every mistake names file, line and key, and what is allowed."""

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

from drift_agent.config import (
    LISTS,
    LOG_STARTS,
    TABLES,
    AgentOptions,
    Config,
    ImageOptions,
    LogOptions,
    MetricsOptions,
    OutputOptions,
    SpoolOptions,
    key_of,
)
from drift_agent.config_environ import Table, apply_environment
from drift_agent.errors import ConfigError
from drift_agent.files import parse_toml, read_bounded

DEFAULT_PATH: Final = "/etc/driftline/agent.toml"
MAX_CONFIG_BYTES: Final = 1 << 20

T = TypeVar("T")


def load(path: str | None, environ: Mapping[str, str], known_metrics: Mapping[str, type] | None = None) -> Config:
    """The configuration of `path` (None: no file, the environment alone), with what `environ` overrides.

    `known_metrics` are the option classes of the metrics by name, which `[metrics]` may mention and `[metrics.NAME]`
    must fit; None: they are not checked.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or a key or value is not allowed.
    """
    text = _read(path) if path is not None else ""
    source = _Source(path or "the environment", text)
    tables: Table = parse_toml(text, source.path)
    origins = apply_environment(tables, environ, known_metrics or {})
    return _build(_Reader(source, origins), tables, known_metrics)


def require_outputs(config: Config) -> None:
    """Raises ConfigError where there is nowhere to send to."""
    if not config.outputs:
        raise ConfigError(
            f"{config.source}: has no [[outputs]]; add one with a url, such as 'http://influxdb.example:8086'"
        )


def read_options(cls: type[T], section: str, table: object) -> T:
    """One table of options that did not come by way of `load`; `section` is what its errors call it.

    Raises:
        ConfigError: a key or value is not allowed.
    """
    return _Reader(_Source("", ""), {}).read(cls, section, table)


def _read(path: str) -> str:
    return read_bounded(path, MAX_CONFIG_BYTES, ConfigError, "; give another file with --config")


@dataclass(frozen=True)
class _Source:
    path: str
    text: str

    def line_of(self, section: str, index: int | None, key: str) -> int | None:
        """Line of `key` in `[section]`, or in the index-th `[[section]]`; else of the section; tomllib keeps none."""
        header = re.compile(r"\s*\[+\s*([\w.\- \"']+?)\s*\]+")
        current, seen, section_line = "", -1, None
        for number, line in enumerate(self.text.splitlines(), 1):
            if match := header.match(line):
                current = match.group(1).replace(" ", "")
                if current == section:
                    seen += 1
                    if index is None or index == seen:
                        section_line = number
                if current == f"{section}.{key}":
                    return number
            elif current == section and index in (None, seen):
                if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
                    return number
            else:
                name = section.removeprefix(f"{current}.") if current else section
                if re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[=.]", line) and current in ("", _parent(section)):
                    return number
        return section_line


def _parent(section: str) -> str:
    return section.rpartition(".")[0]


@dataclass(frozen=True)
class _Reader:
    """Turns tables into option classes, and knows where each value came from."""

    source: _Source
    origins: Mapping[tuple[str, int | None, str], str]

    def error(self, section: str, index: int | None, key: str, problem: str) -> ConfigError:
        variable = self.origins.get((section, index, key))
        if variable is not None:
            return ConfigError(f"environment variable {variable} {problem}")
        line = self.source.line_of(section, index, key)
        place = f"{self.source.path}, line {line}: " if line else f"{self.source.path}: " if self.source.path else ""
        list_ = f"[{index}]" if index is not None else ""
        return ConfigError(f"{place}{section}{list_}{'.' if key else ''}{key} {problem}")

    def read(self, cls: type[T], section: str, table: object, index: int | None = None) -> T:
        if not isinstance(table, dict):
            form = f"[[{section}]]" if index is not None else f"[{section}]"
            raise self.error(section, None, "", f"must be a table: write {form}")
        options = {key_of(item): item for item in fields(cls) if "parse" in item.metadata}  # type: ignore[arg-type]
        values: dict[str, Any] = {}
        for key, value in table.items():
            item = options.get(key)
            if item is None:
                raise self.error(section, index, key, "is not a key here; " + _suggest(key, list(options)))
            try:
                values[item.name] = item.metadata["parse"](value)
            except ValueError as error:
                shown = "" if _may_hold_a_secret(key, value) else f"= {value!r}"[:80] + ": "
                raise self.error(section, index, key, f"{shown}{error}") from None
        return cls(**values)


_PLACE: Final = re.compile(r"(\w+)\[(\d+)\]\.(\w+)")


@contextmanager
def located(config: Config) -> Iterator[None]:
    """Gives a ConfigError of whoever uses a value (`logs[0].pattern …`) its file and line."""
    try:
        yield
    except ConfigError as error:
        place = _PLACE.match(str(error))
        if place is None or not os.path.exists(config.source):
            raise
        line = _Source(config.source, _read(config.source)).line_of(place[1], int(place[2]), place[3])
        raise ConfigError(f"{config.source}{f', line {line}' if line else ''}: {error}") from None


def _may_hold_a_secret(key: str, value: object) -> bool:
    return any(word in key for word in ("token", "password", "key")) or any(mark in str(value) for mark in "@?")


def _suggest(key: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, allowed, n=1)
    return f"did you mean {close[0]!r}?" if close else f"allowed are {', '.join(sorted(allowed))}"


def _build(reader: _Reader, tables: Table, known_metrics: Mapping[str, type] | None) -> Config:
    for section in tables:
        if section not in TABLES and section not in LISTS:
            raise reader.error(section, None, "", "is not a section; " + _suggest(section, [*TABLES, *LISTS]))
    metrics = _read_metrics(reader, tables.get("metrics", {}), known_metrics)
    logs = _read_list(reader, LogOptions, "logs", tables.get("logs", []))
    outputs = _read_list(reader, OutputOptions, "outputs", tables.get("outputs", []))
    config = Config(
        agent=reader.read(AgentOptions, "agent", tables.get("agent", {})),
        image=reader.read(ImageOptions, "image", tables.get("image", {})),
        metrics=metrics,
        spool=reader.read(SpoolOptions, "spool", tables.get("spool", {})),
        logs=logs,
        outputs=outputs,
        source=reader.source.path,
    )
    _validate(reader, config)
    return config


def _read_list(reader: _Reader, cls: type[T], section: str, value: object) -> tuple[T, ...]:
    if not isinstance(value, list):
        raise reader.error(section, None, "", f"must be a list of tables: write [[{section}]]")
    return tuple(reader.read(cls, section, table, index) for index, table in enumerate(value))


def _read_metrics(reader: _Reader, table: object, known: Mapping[str, type] | None) -> MetricsOptions:
    if not isinstance(table, dict):
        raise reader.error("metrics", None, "", "must be a table: write [metrics]")
    own = {name: part for name, part in table.items() if isinstance(part, dict) or name in (known or ())}
    plain = reader.read(MetricsOptions, "metrics", {name: part for name, part in table.items() if name not in own})
    if known is not None:
        for key, names in (("enable", plain.enable), ("disable", plain.disable), ("", tuple(own))):
            for name in names:
                if name not in known:
                    problem = f"{name!r} is no metric; " + _suggest(name, list(known))
                    raise reader.error("metrics", None, key or name, problem)
        for name, part in own.items():
            reader.read(known[name], f"metrics.{name}", part)
    return MetricsOptions(plain.enable, plain.disable, own)


def _validate(reader: _Reader, config: Config) -> None:
    """What no single key can know."""
    for index, output in enumerate(config.outputs):
        if not output.url:
            raise reader.error("outputs", index, "url", "is missing: say where to send, such as 'http://host:8086'")
        if output.token and output.token_file:
            raise reader.error("outputs", index, "token_file", "stands beside token: keep one of them")
        if bool(output.username) != bool(output.password_file):
            raise reader.error("outputs", index, "username", "and password_file go together")
        if output.key_file and not output.cert_file:
            raise reader.error("outputs", index, "key_file", "stands alone: cert_file must name its certificate")
    labels = [output.label for output in config.outputs]
    for index, label in enumerate(labels):
        if label in labels[:index]:
            raise reader.error("outputs", index, "name", f"is missing: two outputs are called {label!r}")
    for index, log in enumerate(config.logs):
        if log.path and log.journal:
            raise reader.error("logs", index, "journal", "stands beside path: a section follows one of the two")
        if not log.path and not log.journal:
            raise reader.error("logs", index, "path", "or journal = true: one of the two must be given")
        if log.from_ not in LOG_STARTS:
            raise reader.error("logs", index, "from", f"must be one of {', '.join(LOG_STARTS)}")
