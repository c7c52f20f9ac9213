"""The fleet for people: right on a narrow and on a wide terminal, whole and plain in a pipe.

Everything that a host said is escaped and put in as plain text, never as markup.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drift_agent.text import cut, shown
from drift_collector.fleet.model import STATES, Fleet, Verdict, VerdictState
from drift_collector.report.columns import COLUMNS, GAP, MAX_NAME, WHY, plain_lines, why, widths
from drift_collector.report.format import Format

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

MANY: Final = 50
"""From here on a terminal gets the groups and the worst instances; a pipe gets every instance, always."""
WORST: Final = 20
MOST_GROUPS: Final = 20
MOST_SYSTEMIC: Final = 10


def print_report(fleet: Fleet, console: Console, now: int, everything: bool = False) -> None:
    """The instances, then the summary, then what was trusted. `now` is Unix ns.

    A terminal gets, of a large fleet, the groups and the worst instances, unless it asks for `everything`.
    """
    verdicts = fleet.verdicts
    if not console.is_terminal:
        for line in plain_lines(verdicts, now) if verdicts else ():
            console.file.write(line + "\n")
    elif len(verdicts) <= MANY or everything:
        if verdicts:
            console.print(instances_table(verdicts, now, console.width))
    else:
        _print_large(verdicts, console, now)
    if verdicts:
        console.print()
    for text in footer(fleet):
        console.print(text)


def instances_table(verdicts: Sequence[Verdict], now: int, width: int) -> Table:
    """A row an instance, for a terminal of `width` cells: narrow ones lose columns, WHY folds, no text is cut."""
    room = widths(verdicts, now, width)
    columns = [column for column in COLUMNS if column.heading in room]
    table = _table()
    for column in columns:
        table.add_column(
            column.heading,
            width=room[column.heading],
            overflow="fold",
            justify="right" if column.right else "left",
        )
    left = width - sum(room.values()) - GAP * len(room)
    longest = max((Text(why(verdict)).cell_len for verdict in verdicts), default=0)
    table.add_column(WHY, width=max(len(WHY), min(left, longest)), overflow="fold")
    for verdict in verdicts:
        cells = [Text(column.cell(verdict, now)) for column in columns]
        cells[0].stylize(STYLES[verdict.state])
        table.add_row(*cells, Text(why(verdict)))
    return table


def groups_table(verdicts: Sequence[Verdict]) -> Table:
    """A row for each group and image with a count by state, the worst first, at most `MOST_GROUPS`."""
    counted: dict[tuple[str, str], Counter[VerdictState]] = {}
    for verdict in verdicts:  # worst first, and so are the groups: by their worst instance
        counted.setdefault((verdict.group, verdict.image), Counter())[verdict.state] += 1
    table = _table()
    table.add_column("GROUP", overflow="fold")
    table.add_column("IMAGE", overflow="fold")
    table.add_column("INSTANCES", overflow="fold")
    for (group, image), counts in list(counted.items())[:MOST_GROUPS]:
        table.add_row(plain(group), plain(image), counts_text(counts))
    if len(counted) > MOST_GROUPS:
        table.add_row("…", f"{len(counted) - MOST_GROUPS} more", "")
    return table


def footer(fleet: Fleet) -> Iterator[Text]:
    """What is said below each report: gaps of the bake, counts, coverage, trust."""
    for item in fleet.systemic[:MOST_SYSTEMIC]:
        what = cut(f"{item.change} {item.kind} {item.key}", 2 * MAX_NAME)
        where = f"{what} on {item.instances} of {item.of} instances of {cut(item.image, MAX_NAME)}"
        about = "about " if item.sampled else ""
        yield Text.assemble(("SYSTEMIC", "bold yellow"), f" {about}{shown(where)}: a gap of the bake")
    if len(fleet.systemic) > MOST_SYSTEMIC:
        yield Text(
            f"… and {len(fleet.systemic) - MOST_SYSTEMIC} more items on at least half of their image's instances"
        )
    yield summary_line(fleet)
    yield Text(trust_line(fleet))


def summary_line(fleet: Fleet) -> Text:
    """`3 instances: 1 DRIFTED, 2 CLEAN · coverage 3/3 (100%)`"""
    count = len(fleet.verdicts)
    line = Text(f"{count} instance{'s' * (count != 1)}")
    line.append(": ").append_text(counts_text(fleet.summary()) if count else Text("nobody has reported to this store"))
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
    checked = ", signatures checked" if fleet.signatures_checked else ""
    return f"Trust: digests compared with {count} trusted manifest{'s' * (count != 1)}{checked}."


def counts_text(counts: Mapping[VerdictState, int]) -> Text:
    """`1 DRIFTED, 2 CLEAN`: the states that are there, worst first."""
    parts = [Text(f"{counts[state]} ").append_text(state_text(state)) for state in STATES if counts.get(state)]
    return Text(", ").join(parts)


def state_text(state: VerdictState) -> Text:
    """A state as people see it: upper case, and in its colour."""
    return Text(state.upper(), style=STYLES[state])


def plain(text: str) -> Text:
    """Text of a host: control characters escaped, no markup."""
    return Text(shown(cut(text, MAX_NAME)) or "-")


def percent(ratio: float) -> str:
    """`100%` only where it is all of them."""
    return f"{int(ratio * 1000) / 10:g}%"


def _print_large(verdicts: Sequence[Verdict], console: Console, now: int) -> None:
    console.print(groups_table(verdicts))
    unwell = sum(verdict.state != "clean" for verdict in verdicts)
    worst = verdicts[: min(WORST, unwell)]
    if worst:
        console.print()
        console.print(instances_table(worst, now, console.width))
    hidden = [f"{unwell - len(worst)} more that are not clean"] if unwell > len(worst) else []
    hidden += [f"{len(verdicts) - unwell} clean ones"] if unwell < len(verdicts) else []
    console.print(f"… and {' and '.join(hidden)}; --all lists every instance", style="dim")


def _table() -> Table:
    # The box puts one cell between columns by itself.
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, GAP - 1, 0, 0), show_edge=False)


FORMAT: Final = Format("table", print_report)
