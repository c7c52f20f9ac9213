"""TOML → `Policy`: a named profile, the layers that an image needs, and the user's own rules behind them.

profile = "debian"                 # the rules to start from
kinds = ["file", "package"]        # what is compared (everything)

[[rule]]                           # the last rule that matches decides
path = "/srv/app/cache/**"         # see `globs`
class = "ignored"                  # frozen, sealed, structural, ignored
without = ["uid", "gid"]           # or attributes = [...]: what is compared
severity = "low"                   # low, medium, high
why = "the application's cache"

[[rule]]
kind = "socket"                    # a baked kind, or one of the running machine: socket, module, running_sysctl
path = "tcp *:8443"                # its key, as a report shows it
class = "ignored"
why = "the application opens it after the seal"
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, Final

from drift_agent.errors import ConfigError
from drift_agent.files import parse_toml, read_bounded
from drift_agent.image.globs import Automaton, expand_braces
from drift_agent.image.policy import ALL_ATTRIBUTES, BAKED_KINDS, CLASSES, RULE_KINDS, SEVERITIES, Policy, Rule
from drift_agent.image.semantics import ATTRIBUTES
from drift_agent.text import cut

PROFILES: Final = ("generic", "debian", "ubuntu", "amazon-linux")
CLOUD_INIT: Final = "cloud-init"
MAX_POLICY_BYTES: Final = 1 << 20

STRUCTURAL: Final = (
    "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid",
    "/etc/systemd/system/*.wants/*", "/etc/systemd/system/*.requires/*",
)  # fmt: skip
"""What may be compared by record: accounts, and the links that enable units."""

_RULE_HEADER: Final = re.compile(r"\s*\[\[\s*[\"']?rule[\"']?\s*\]\]")
_SHOWN_PATH: Final = 200
_RULE_KEYS: Final = ("path", "class", "kind", "attributes", "without", "severity", "why")


def load_policy(
    file: str | None = None, profile: str | None = None, *, layers: Sequence[str] = (), more: Sequence[Rule] = ()
) -> Policy:
    """The effective policy: profile, then `layers` (`cloud-init`), then `more`, then the rules of `file`.

    `profile` wins over the file's own; neither means `generic`. What a tree needs of `layers` and `more` its
    `osrelease.layers_of` and `osrelease.account_rules` say.

    Raises:
        ConfigError: the file cannot be read, or a key, value or pattern is not allowed.
    """
    table, rules = ({}, []) if file is None else _read(file)
    name = table.get("profile", "generic") if profile is None else profile
    if name not in PROFILES:
        raise ConfigError(f"there is no profile {name!r}; there are {', '.join(PROFILES)}")
    packaged = [rule for layer in (*_lineage(name), *layers) for rule in _packaged(layer)]
    return Policy.of([*packaged, *more, *rules], table.get("kinds", BAKED_KINDS), name)


def _lineage(profile: str) -> list[str]:
    return [profile] if profile == "generic" else ["generic", profile]


def _packaged(name: str) -> list[Rule]:
    text = (resources.files("drift_agent.image") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
    return _rules(tomllib.loads(text), f"profiles/{name}.toml", name)


def _read(file: str) -> tuple[dict[str, Any], list[Rule]]:
    text = read_bounded(file, MAX_POLICY_BYTES, ConfigError)
    table = parse_toml(text, file)
    for key in table:
        if key not in ("profile", "kinds", "rule"):
            raise ConfigError(f"{file}: {key} is not known; there are profile, kinds and [[rule]]")
    kinds = table.get("kinds", [])
    if not isinstance(kinds, list) or not all(kind in BAKED_KINDS for kind in kinds):
        raise ConfigError(f"{file}: kinds may hold {', '.join(BAKED_KINDS)}")
    if table.get("profile", "generic") not in PROFILES:
        raise ConfigError(f"{file}: there is no profile {table['profile']!r}; there are {', '.join(PROFILES)}")
    return table, _rules(table, file, os.path.basename(file), _rule_lines(text))


def _rule_lines(text: str) -> list[int]:
    """The lines of the `[[rule]]` headers: the parser keeps none."""
    return [number for number, line in enumerate(text.split("\n"), 1) if _RULE_HEADER.match(line)]


def _rules(table: Mapping[str, Any], source: str, layer: str, lines: Sequence[int] = ()) -> list[Rule]:
    entries = table.get("rule", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{source}: rule must be an array of tables: [[rule]]")
    located = len(lines) == len(entries)  # not where a string holds a header, or the rules are an inline array
    rules: list[Rule] = []
    for number, entry in enumerate(entries, 1):
        place = f"{source}, line {lines[number - 1]}" if located else source
        rules += _parse(entry, f"{place}: rule {number}", layer)
    return rules


def _parse(entry: Mapping[str, Any], where: str, layer: str) -> list[Rule]:
    for key in entry:
        if key not in _RULE_KEYS:
            raise ConfigError(f"{where}: {key} is not known; there are {', '.join(_RULE_KEYS)}")
    paths = entry.get("path")
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
        raise ConfigError(f"{where}: path must be a glob, or a list of globs")
    kind = _choice(entry, "kind", RULE_KINDS, "file", where)
    path_class = _choice(entry, "class", CLASSES, "frozen", where)
    severity = _choice(entry, "severity", SEVERITIES, "medium", where)
    why = entry.get("why", "")
    if not isinstance(why, str):
        raise ConfigError(f"{where}: why must be a string")
    attributes = _attributes(entry, where)
    for path in paths:
        _check_pattern(path, kind, where)
        if path_class == "structural" and not _has_records(path, kind):
            raise ConfigError(f"{where}: path {path!r} holds no records; structural is for {', '.join(STRUCTURAL)}")
    return [Rule(path, path_class, attributes, severity, why, layer, kind) for path in paths]


def _choice(entry: Mapping[str, Any], key: str, allowed: Sequence[Any], default: str, where: str) -> Any:  # noqa: ANN401
    value = entry.get(key, default)
    if value not in allowed:
        raise ConfigError(f"{where}: {key} is {value!r}; it may be {', '.join(allowed)}")
    return value


def _attributes(entry: Mapping[str, Any], where: str) -> frozenset[str] | None:
    if "attributes" in entry and "without" in entry:
        raise ConfigError(f"{where}: give attributes or without, not both")
    for key in ("attributes", "without"):
        names = entry.get(key)
        if names is None:
            continue
        if not isinstance(names, list) or not all(name in ATTRIBUTES for name in names):
            raise ConfigError(f"{where}: {key} may hold {', '.join(ATTRIBUTES)}")
        return frozenset(names) if key == "attributes" else ALL_ATTRIBUTES.difference(names)
    return None


def _has_records(path: str, kind: str) -> bool:
    """Whether everything that a pattern may match is compared by record."""
    patterns = expand_braces(path) if kind == "file" else []
    return bool(patterns) and all(any(fnmatchcase(each, known) for known in STRUCTURAL) for each in patterns)


def _check_pattern(path: str, kind: str, where: str) -> None:
    if kind == "file" and not path.startswith("/"):
        raise ConfigError(f"{where}: path {path!r} does not begin with '/'")
    try:
        Automaton([[path if kind == "file" else f"/{path}"]])
    except ValueError as error:
        raise ConfigError(f"{where}: path {cut(path, _SHOWN_PATH)!r} {error}") from None
