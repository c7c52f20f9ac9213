"""Writes the generated parts of docs/ (`make docs`); what stands outside their marks is written by hand.

    <!-- generated: NAME -->
    …
    <!-- end -->

The commands come from the command lines themselves, the keys from the options' declarations, the measurements from
the schema; `tests/docs` fails when the files are not what this makes.
"""

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final, get_args

import typer

from drift_agent.cli import program as agent_cli
from drift_agent.config import AgentOptions, ImageOptions, LogOptions, MetricsOptions, OutputOptions, SpoolOptions
from drift_agent.errors import EXIT_CODES
from drift_agent.logs.measurements import MEASUREMENTS as LOGS
from drift_agent.metrics import METRICS
from drift_agent.metrics.metric import Metric, MetricOptions
from drift_agent.schema import DRIFT, DRIFT_ITEM, Field, Measurement
from drift_collector.cli import program as collector_cli

DOCS: Final = Path(__file__).parents[1] / "docs"
SECTIONS: Final[Mapping[str, type]] = {
    "[agent]": AgentOptions,
    "[image]": ImageOptions,
    "[metrics]": MetricsOptions,
    "[spool]": SpoolOptions,
    "[[logs]]": LogOptions,
    "[[outputs]]": OutputOptions,
}
FORMS: Final = {
    "text": "string",
    "name": "string",
    "path": "path",
    "texts": "list of strings",
    "duration": "duration",
    "size": "size",
    "capacity": "size",
    "rate": "whole number",
    "tags": "table of strings",
    "routes": "table of strings",
    "lanes": "list of lanes",
    "http_url": "address",
    "server_url": "address",
    "urls": "list of addresses",
    "boolean": "true or false",
}
TYPES: Final = {"f": "float", "i": "integer", "s": "string"}
_PART: Final = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table; `|` in a cell is escaped."""
    head = tuple(head)
    rows = [head, ("---",) * len(head), *lines]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


# ------------------------------------------------------------------------------------------------ configuration


def configuration() -> str:
    parts = [f"## `{section}`\n\n{_options(cls)}" for section, cls in SECTIONS.items()]
    own = [metric for metric in METRICS if metric.options is not MetricOptions]
    parts.append(f"## `[metrics.NAME]`\n\nEvery metric has:\n\n{_options(MetricOptions)}")
    parts += [f"### `[metrics.{metric.name}]`\n\n{_options(metric.options, but=MetricOptions)}" for metric in own]
    return "\n".join(parts)


def _options(cls: type, but: type | None = None) -> str:
    known = {item.name for item in fields(but)} if but else set()
    rows = []
    for item in fields(cls):
        if "parse" in item.metadata and item.name not in known:
            default = {} if item.default is MISSING else item.default  # tables alone have a factory
            form = item.metadata["parse"].__name__.lstrip("_").removeprefix("as_")
            rows.append((f"`{item.name.rstrip('_')}`", FORMS[form], _default(default, form), item.metadata["help"]))
    return table(("key", "form", "default", "what it says"), rows)


def _default(value: Any, form: str) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if not value:
        return "`0`" if value == 0 and form in ("rate", "size") else ""
    if form == "duration":
        return f'`"{_duration(value)}"`'
    if form in ("size", "capacity"):
        return f'`"{value >> 20}MiB"`'
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{part}"' for part in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0 and seconds > size:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


# ------------------------------------------------------------------------------------------------ command line


def exit_codes() -> str:
    return table(("code", "meaning"), ((str(code), meaning) for code, meaning in EXIT_CODES.items()))


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that can be typed, with its full name; what `drift-agent` has, too, stands under both names."""
    for program, app in (("drift", collector_cli.command_line()), ("drift-agent", agent_cli.command_line())):
        yield from _leaves(program, typer.main.get_command(app))


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:  # typer keeps the classes private
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for part, each in inner.items():
        if not each.hidden:
            yield from _leaves(f"{name} {part}", each)


def command_line() -> str:
    """Each command once: `drift agent …` and `drift-agent …` are the same, and so is `drift-agent image`."""
    named = dict(commands())
    shown = {
        name: command for name, command in named.items() if not name.startswith(("drift agent ", "drift-agent image"))
    }
    return "\n".join(_command(name, command) for name, command in shown.items())


def _command(name: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *(_metavar(one) for one in arguments)])
    help_ = " ".join((command.help or "").split())
    rows = [(f"`{_metavar(one)}`", "", one.help or "") for one in arguments]
    rows += [(_flags(one), _option_default(one), _option_help(one)) for one in options]
    return f"## `{name}`\n\n{help_}\n\n    {usage}\n" + (
        "\n" + table(("option", "default", "what it does"), rows) if rows else ""
    )


def _metavar(one: Any) -> str:
    return str(one.metavar or one.name.upper())


def _flags(one: Any) -> str:
    names = sorted([*one.opts, *one.secondary_opts], key=len)
    value = "" if one.is_flag else " " + (one.metavar or "|".join(_choices(one)) or _kind(one))
    return ", ".join(f"`{name}{value}`" if name == names[-1] else f"`{name}`" for name in names)


def _kind(one: Any) -> str:
    return str(one.type_descriptor.annotation.__name__).upper()


def _choices(one: Any) -> list[str]:
    kind = one.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [str(each.value) for each in kind]
    return [each for each in get_args(kind) if isinstance(each, str)]


def _option_default(one: Any) -> str:
    if one.required:
        return "required"
    value = one.default.value if isinstance(one.default, enum.Enum) else one.default
    return "" if one.is_flag or value in (None, "", []) or callable(value) else f"`{value}`"


def _option_help(one: Any) -> str:
    variable = f" Environment: `{one.envvar}`." if one.envvar else ""
    return " ".join((one.help or "").split()) + variable


# ------------------------------------------------------------------------------------------------ measurements


def metrics() -> str:
    parts = [_measurement(one, _when(metric)) for metric in METRICS for one in metric.measurements]
    return "\n".join(parts)


def _when(metric: Metric) -> str:
    on = "Gathered by default." if metric.default else f'Gathered with `enable = ["{metric.name}"]`.'
    slow = f" At most every {_duration(metric.least_interval)}, unless `[metrics.{metric.name}]` says otherwise."
    return on + (slow if metric.least_interval else "")


def logs() -> str:
    return "\n".join(_measurement(one) for one in LOGS.values())


def drift() -> str:
    return "\n".join(_measurement(one) for one in (DRIFT, DRIFT_ITEM))


def _measurement(one: Measurement, when: str = "") -> str:
    tags = ", ".join(f"`{tag}`" for tag in one.tags) or "none of its own"
    rest = f"\nFurther fields are {TYPES[one.rest]}s, named as the kernel names them.\n" if one.rest else ""
    rows = [(names, TYPES[field.type], field.unit, field.help) for names, field in _alike(one.fields)]
    text = f"### `{one.name}`\n\n{f'{one.help} {when}'.strip()}\n\nTags: {tags}.\n"
    return text + ("\n" + table(("fields", "type", "unit", "what they say"), rows) if rows else "") + rest


def _alike(declared: Mapping[str, Field]) -> list[tuple[str, Field]]:
    """Fields of one type and unit that say nothing more, in one row."""
    rows: dict[Field | str, list[str]] = {}
    of: dict[Field | str, Field] = {}
    for name, field in declared.items():
        key = name if field.help else field
        rows.setdefault(key, []).append(f"`{name}`")
        of[key] = field
    return [(", ".join(names), of[key]) for key, names in rows.items()]


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "configuration": configuration,
    "exit-codes": exit_codes,
    "commands": command_line,
    "drift": drift,
    "metrics": metrics,
    "logs": logs,
}


def renewed(text: str) -> str:
    """A document with its generated parts made anew."""
    return _PART.sub(lambda match: f"{match[1]}\n{PARTS[match[2]]()}\n{match[3]}", text)


def main() -> None:
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        path.write_text(renewed(text), encoding="utf-8")


if __name__ == "__main__":
    main()
