"""Rows of a report as text, and which columns a terminal has room for. Pure.

Every cell is safe to print: what a host said is escaped here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from drift_agent.text import cut, shown
from drift_agent.units import SECOND, format_duration
from drift_collector.fleet.model import Verdict

GAP: Final = 2
"""Spaces between two columns."""

MAX_NAME: Final = 256
"""Characters of a name that are shown; no cloud gives longer ones."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: heading, how a cell is made (`now`: Unix ns), what share of the width it may take, if it stays."""

    heading: str
    cell: Callable[[Verdict, int], str]
    share: float = 1.0
    needed: bool = False
    right: bool = False


COLUMNS: Final = (
    Column("STATE", lambda verdict, _: verdict.state.upper(), needed=True),
    Column("INSTANCE", lambda verdict, _: _cell(verdict.instance), share=1 / 3, needed=True),
    Column("HOST", lambda verdict, _: _cell(verdict.host), share=1 / 5),
    Column("IMAGE", lambda verdict, _: _cell(verdict.image), share=1 / 5),
    Column("GROUP", lambda verdict, _: _cell(verdict.group), share=1 / 5),
    Column("SEEN", lambda verdict, now: age(verdict.last_seen, now), needed=True, right=True),
)
"""In their order. The last column, WHY, takes what room is left."""

WHY: Final = "WHY"


def why(verdict: Verdict) -> str:
    """All reasons in one line; empty where there is none."""
    return shown("; ".join(reason.text for reason in verdict.reasons))


def age(moment: int | None, now: int) -> str:
    """How long ago, or ahead: `12s`, `2h 5m`, `+5m` for the future, `-` for never."""
    if moment is None:
        return "-"
    seconds = (now - moment) // SECOND
    return f"+{format_duration(-seconds)}" if seconds < -1 else format_duration(max(0, seconds))


def widths(verdicts: Sequence[Verdict], now: int, width: int) -> Mapping[str, int]:
    """The columns that `width` has room for, and how wide each is; what is left is for WHY.

    Where all fits, all is as wide as it wants. Else columns take their share at most, and go, last of the optional ones
    first, until WHY has a quarter of the width and 18 cells at least. A column of hosts that says what the instances
    say is not worth its room.
    """
    columns = [column for column in COLUMNS if column.heading != "HOST" or _hosts_say_more(verdicts)]
    longest = {column.heading: _longest(column, verdicts, now) for column in columns}
    reasons = max((_cells(why(verdict)) for verdict in verdicts), default=0)
    if sum(longest.values()) + GAP * len(longest) + max(len(WHY), reasons) <= width:
        return longest
    wanted = {column.heading: min(longest[column.heading], _share(column, width)) for column in columns}
    optional = [column.heading for column in columns if not column.needed]
    room = width - max(18, width // 4)
    while optional and sum(wanted.values()) + GAP * len(wanted) > room:
        del wanted[optional.pop()]
    excess = sum(wanted.values()) + GAP * len(wanted) - room
    if excess > 0:
        wanted["INSTANCE"] = max(8, wanted["INSTANCE"] - excess)
    return wanted


def plain_lines(verdicts: Sequence[Verdict], now: int) -> Iterator[str]:
    """The whole table without a terminal: every column, nothing cut or folded, no spaces at the ends of lines."""
    rows = [[column.heading for column in COLUMNS]]
    rows += [[column.cell(verdict, now) for column in COLUMNS] for verdict in verdicts]
    widest = [max(map(_cells, cells)) for cells in zip(*rows, strict=True)]
    last = [WHY, *map(why, verdicts)]
    for cells, reasons in zip(rows, last, strict=True):
        padded = [_padded(*each) for each in zip(cells, COLUMNS, widest, strict=True)]
        yield (" " * GAP).join([*padded, reasons]).rstrip()


def _hosts_say_more(verdicts: Sequence[Verdict]) -> bool:
    return any(verdict.host not in ("", verdict.instance) for verdict in verdicts)


def _longest(column: Column, verdicts: Sequence[Verdict], now: int) -> int:
    return max(len(column.heading), max((_cells(column.cell(verdict, now)) for verdict in verdicts), default=0))


def _share(column: Column, width: int) -> int:
    return max(12, len(column.heading), int(width * column.share))


def _padded(text: str, column: Column, width: int) -> str:
    padding = " " * (width - _cells(text))
    return padding + text if column.right else text + padding


def _cells(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _cell(text: str) -> str:
    return shown(cut(text, MAX_NAME)) or "-"
