"""The fleet as a table for people: right on a narrow and on a wide terminal, whole and plain in a pipe.

Everything that a host said is escaped (`shown`) and put in as plain text, never as markup.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from rich import box
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from drift_agent.text import shown
from drift_agent.units import format_duration
from drift_collector.fleet.model import Fleet, Verdict, VerdictState

STYLES: Final[dict[VerdictState, str]] = {
    "drifted": "bold red",
    "tainted": "bold magenta",
    "unverified": "yellow",
    "outdated": "cyan",
    "expired": "cyan",
    "stale": "yellow",
    "silent": "yellow",
    "clean": "green",
}
_SECOND: Final = 1_000_000_000


def print_report(fleet: Fleet, console: Console, now: int) -> None:
    """The table, then the summary, then what was trusted. `now` is Unix ns; a pipe gets lines of any length."""
    if fleet.verdicts:
        print_whole(console, instances_table(fleet.verdicts, now, console.width if console.is_terminal else None))
        console.print()
    for line in footer(fleet):
        console.print(line)


def instances_table(verdicts: Sequence[Verdict], now: int, width: int | None) -> Table:
    """A row an instance. `width` is the terminal's, None for a pipe: narrow ones lose columns, never text."""
    table = Table(box=box.SIMPLE_HEAD if width else None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("STATE", no_wrap=True)
    table.add_column("INSTANCE", overflow="fold", min_width=8)
    columns = [name for name, least in (("HOST", 80), ("IMAGE", 100), ("GROUP", 120)) if not width or width >= least]
    for name in columns:
        table.add_column(name, overflow="fold", min_width=6)
    table.add_column("SEEN", no_wrap=True, justify="right")
    table.add_column("WHY", overflow="fold", ratio=1 if width else None, min_width=16)
    for verdict in verdicts:
        host = verdict.host if verdict.host != verdict.instance else ""
        cells = {"HOST": host, "IMAGE": verdict.image, "GROUP": verdict.group}
        table.add_row(
            state_text(verdict.state),
            plain(verdict.instance),
            *(plain(cells[name]) for name in columns),
            Text(age(verdict.last_seen, now)),
            plain("; ".join(reason.text for reason in verdict.reasons)),
        )
    return table


def footer(fleet: Fleet) -> Iterator[Text]:
    """What is said below each report: gaps of the bake, counts, coverage, trust."""
    for item in fleet.systemic:
        where = f"{item.change} {item.kind} {item.key} on {item.instances} of {item.of} instances of {item.image}"
        yield Text.assemble(("SYSTEMIC", "bold yellow"), f" {shown(where)}: a gap of the bake, not of an instance")
    yield summary_line(fleet)
    yield Text(trust_line(fleet))


def summary_line(fleet: Fleet) -> Text:
    """`3 instances: 1 DRIFTED, 2 CLEAN · coverage 3/3 (100%)`"""
    count = len(fleet.verdicts)
    line = Text(f"{count} instance{'s' * (count != 1)}")
    present = [(state, number) for state, number in fleet.summary().items() if number]
    for position, (state, number) in enumerate(present):
        line.append(", " if position else ": ").append(f"{number} ").append_text(state_text(state))
    coverage = fleet.coverage
    line.append(f" · coverage {coverage.fresh}/{coverage.expected} ({percent(coverage.ratio)})")
    if fleet.terminated:
        line.append(f" · {fleet.terminated} terminated")
    return line


def trust_line(fleet: Fleet) -> str:
    """Whose word counts."""
    if fleet.trusted_images is None:
        return "Trust: the agents' own word; no trusted manifests are configured (--manifests)."
    count = fleet.trusted_images
    return f"Trust: digests compared with {count} trusted manifest{'s' * (count != 1)}."


def print_whole(console: Console, renderable: RenderableType) -> None:
    """Prints without cutting or folding where no terminal is: as wide as its longest line, no spaces at line ends."""
    if console.is_terminal:
        console.print(renderable)
        return
    options = console.options.update(width=1_000_000, max_width=1_000_000)
    needed = Measurement.get(console, options, renderable).maximum
    lines = console.render_lines(renderable, options.update(width=needed, max_width=needed), pad=False)
    for line in lines:
        console.file.write("".join(segment.text for segment in line).rstrip() + "\n")


def state_text(state: VerdictState) -> Text:
    """A state as people see it: upper case, and in its colour."""
    return Text(state.upper(), style=STYLES[state])


def plain(text: str) -> Text:
    """Text of a host: control characters escaped, no markup."""
    return Text(shown(text) or "-")


def age(moment: int | None, now: int) -> str:
    """How long ago, or ahead: `12s`, `2h 5m`, `+5m` for the future, `-` for never."""
    if moment is None:
        return "-"
    seconds = (now - moment) // _SECOND
    return f"+{format_duration(-seconds)}" if seconds < -1 else format_duration(max(0, seconds))


def percent(ratio: float) -> str:
    """`100%` only where it is all of them."""
    return f"{int(ratio * 1000) / 10:g}%"
