"""The fleet as comma-separated values."""

import csv
import io

from rich.console import Console

from drift_collector.fleet.model import Fleet
from drift_collector.fleet.verdict import judge
from drift_collector.report.spreadsheet import FORMAT, HEADINGS
from reports import NOW, drifted, report


def rows(fleet: Fleet) -> list[dict[str, str]]:
    text = io.StringIO(newline="")
    FORMAT.write(fleet, Console(file=text), NOW, False)
    return list(csv.DictReader(io.StringIO(text.getvalue(), newline="")))


def test_every_instance_is_a_row_worst_first() -> None:
    found = rows(judge([report("i-1"), drifted("i-2", logins=1)], NOW))
    assert tuple(found[0]) == HEADINGS
    assert [(row["instance"], row["state"], row["reasons"]) for row in found] == [
        ("i-2", "drifted", "drifted tainted"),
        ("i-1", "clean", ""),
    ]
    assert (found[0]["modified"], found[0]["last_seen"]) == ("1", "2026-09-21T14:13:10.000000Z")


def test_the_silent_have_empty_times() -> None:
    (row,) = rows(judge([], NOW, expected={"i-1"}))
    assert (row["state"], row["since"], row["last_seen"]) == ("silent", "", "")


def test_names_that_look_like_formulas_or_break_lines_are_text() -> None:
    (row,) = rows(judge([report('=cmd|" /C calc"!A0', host="a,b\n", image="@x", group="-1")], NOW))
    assert (row["instance"], row["host"], row["image"], row["group"]) == (
        '\'=cmd|" /C calc"!A0',
        "a,b\\n",
        "'@x",
        "'-1",
    )
