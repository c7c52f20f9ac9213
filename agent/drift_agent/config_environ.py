"""What the environment says over the configuration's file: `DRIFTLINE_SECTION_KEY` and `DRIFTLINE_LIST_N_KEY`."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Final

from drift_agent.config import LISTS, TABLES, MetricsOptions, key_of
from drift_agent.errors import ConfigError

PREFIX: Final = "DRIFTLINE_"

Table = dict[str, object]


def apply_environment(
    tables: Table, environ: Mapping[str, str], metrics: Iterable[str]
) -> dict[tuple[str, int | None, str], str]:
    """Puts `DRIFTLINE_SECTION_KEY` and `DRIFTLINE_LIST_N_KEY` into `tables`; says which value came from where.

    Variables that begin with no section's name belong to other commands (`DRIFTLINE_TOKEN`) and are left alone.
    """
    origins: dict[tuple[str, int | None, str], str] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        section, _, rest = variable.removeprefix(PREFIX).lower().partition("_")
        if section == "metrics" and rest and rest not in {key_of(item) for item in fields(MetricsOptions)}:
            name, key = _set_in_metric(tables, rest, environ[variable], variable, metrics)
            origins |= {("metrics", None, name): variable, (f"metrics.{name}", None, key): variable}
        elif section in TABLES and rest:
            _set_in_table(tables, section, rest, environ[variable], variable)
            origins[(section, None, rest)] = variable
        elif section in LISTS:
            number, _, key = rest.partition("_")
            if not number.isdecimal() or not key:
                raise ConfigError(f"environment variable {variable}: write {PREFIX}{section.upper()}_0_KEY")
            _set_in_list(tables, section, int(number), key, environ[variable], variable)
            origins[(section, int(number), key)] = variable
    return origins


def _set_in_table(tables: Table, section: str, key: str, text: str, variable: str) -> None:
    table = tables.setdefault(section, {})
    if not isinstance(table, dict):
        raise ConfigError(f"environment variable {variable}: {section} is not a table in the file")
    table[key] = _coerce(TABLES[section], key, text)


def _set_in_metric(tables: Table, rest: str, text: str, variable: str, metrics: Iterable[str]) -> tuple[str, str]:
    """Sets `[metrics.NAME]` from `NAME_KEY`; both may hold underscores. Returns name and key."""
    known = max((name for name in metrics if rest.startswith(f"{name}_")), key=len, default="")
    name = known or rest.partition("_")[0]
    key = rest.removeprefix(name).removeprefix("_")
    table = tables.setdefault("metrics", {})
    own = table.setdefault(name, {}) if isinstance(table, dict) else None
    if not key or not isinstance(own, dict):
        raise ConfigError(f"environment variable {variable}: write {PREFIX}METRICS_NAME_KEY")
    own[key] = _value(text)
    return name, key


def _set_in_list(tables: Table, section: str, index: int, key: str, text: str, variable: str) -> None:
    entries = tables.setdefault(section, [])
    if not isinstance(entries, list) or index > len(entries):
        raise ConfigError(f"environment variable {variable}: the file has no {section}[{index}] to override")
    if index == len(entries):
        entries.append({})
    entries[index][key] = _coerce(LISTS[section], key, text)


def _coerce(cls: type, key: str, text: str) -> object:
    """A number where the option's default is one; everything else has a text form that its parser knows."""
    for item in fields(cls):
        default = item.default if item.default is not MISSING else None
        if key_of(item) == key and type(default) is int and re.fullmatch(r"-?\d+", text):
            return int(text)
    return text


def _value(text: str) -> object:
    """A metric's own key may be of any type: read as TOML where it is some, as a string else."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
