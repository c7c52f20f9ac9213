"""What an operator sees, at every width and in a pipe. UPDATE_GOLDEN=1 writes the golden files anew."""

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from drift_collector.fleet.model import Fleet
from drift_collector.fleet.systemic import with_systemic
from drift_collector.fleet.verdict import judge
from drift_collector.report.columns import age
from drift_collector.report.instance import print_instance
from drift_collector.report.table import percent, print_report
from drift_collector.store.base import DriftReport
from reports import NOW, SECOND, TRUSTED, drifted, item, report

GOLDEN = Path(__file__).parents[2] / "data" / "report"
WIDTHS = (40, 60, 100, 200)


def mixed() -> Fleet:
    """One of each, with names that try to leave their cells."""
    reports = [
        report("i-0a1b2c3d4e5f60711", host="web-1"),
        drifted("i-0a1b2c3d4e5f60712", host="web-2", added=3, removed=1, logins=2),
        report(
            "i-0a1b2c3d4e5f60713", host="web-3", state="stopped", time=NOW - 7200 * SECOND, scan_at=NOW - 7300 * SECOND
        ),
        report("i-0a1b2c3d4e5f60714", host="\x1b[31mevil[bold]\u202e\n", scan_at=0, degraded=1),
        report("7d1e0c5ab1c24f6f9d1f6c2c8ab1e2d3", host="", image="", group="", state="pending", scan_at=0),
        report("i-0a1b2c3d4e5f60715", host="データベース-1", image="データベース@2026.09.21", group="staging"),
        report("i-0a1b2c3d4e5f60716", state="terminated"),
    ]
    return judge(reports, NOW, expected=None)


def large() -> Fleet:
    """Ten thousand instances in three groups, 40 of them not clean."""
    reports = []
    for number in range(10_000):
        values = {"group": ("api", "web", "worker")[number % 3], "image": f"{('api', 'web', 'worker')[number % 3]}@7"}
        instance = f"i-{number:017x}"
        make = drifted if number % 400 == 7 else report
        state = "stopped" if number % 700 == 9 else "drifted" if make is drifted else "clean"
        reports.append(make(instance, host=f"host-{number}", **{**values, "state": state}))
    return judge(reports, NOW)


def printed(fleet: Fleet, width: int | None, *, everything: bool = False, color: bool = False) -> str:
    """What a terminal of `width` shows; a pipe for None."""
    text = io.StringIO()
    console = Console(
        file=text, width=width, force_terminal=width is not None, color_system="truecolor" if color and width else None,
        highlight=False, soft_wrap=width is None, legacy_windows=False, _environ={},
    )  # fmt: skip
    print_report(fleet, console, NOW, everything=everything)
    return text.getvalue()


def assert_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_at_each_width(width: int) -> None:
    text = printed(mixed(), width)
    assert_golden(f"table-{width}.txt", text)
    assert max(cell_len(line) for line in text.splitlines()) <= width


def test_the_table_in_a_pipe() -> None:
    assert_golden("table-pipe.txt", printed(mixed(), None))


@pytest.mark.parametrize("width", [60, 100])
def test_a_large_fleet_is_its_groups_and_its_worst(width: int) -> None:
    text = printed(large(), width)
    assert_golden(f"large-{width}.txt", text)
    assert len(text.splitlines()) < 60


def test_a_large_fleet_is_whole_in_a_pipe_and_where_it_is_asked_for() -> None:
    fleet = large()
    assert printed(fleet, None).count("\ni-") + printed(fleet, None).count("  i-") == 10_000
    some = judge([report(f"i-{number}") for number in range(60)], NOW)
    assert "i-33" not in printed(some, 100)
    assert "i-33" in printed(some, 100, everything=True)


def test_a_clean_large_fleet_lists_nobody() -> None:
    text = printed(judge([report(f"i-{number:03}") for number in range(60)], NOW), 100)
    assert "i-0" not in text
    assert "60 clean ones; --all lists every instance" in text


def test_nothing_found_is_one_line_and_says_so() -> None:
    first = printed(judge([], NOW), None).splitlines()[0]
    assert first == "0 instances: nobody has reported to this store · coverage 0/0 (0%)"


def test_what_was_trusted_stands_in_one_line() -> None:
    assert "Trust: the agents' own word;" in printed(mixed(), None)
    assert "Trust: digests compared with 1 trusted manifest.\n" in printed(judge([report()], NOW, TRUSTED), None)


def test_checked_signatures_are_said() -> None:
    signed = {image: replace(trusted, signature="good") for image, trusted in TRUSTED.items()}
    assert "1 trusted manifest, signatures checked.\n" in printed(judge([report()], NOW, signed), None)


def test_shared_items_are_named_below_the_table() -> None:
    fleet = judge([drifted("i-1"), drifted("i-2")], NOW)
    text = printed(with_systemic(fleet, lambda one: [item(one.instance, "/etc/\x1bx")]), None)
    assert "SYSTEMIC modified file /etc/\\x1bx on 2 of 2 instances of web@1.2: a gap of the bake\n" in text


def test_colours_are_for_terminals_that_have_them() -> None:
    assert "\x1b[" in printed(mixed(), 100, color=True)
    assert "\x1b" not in printed(mixed(), 100)


NAMES = st.text(st.characters(exclude_categories=()), max_size=60)
REPORTS = st.builds(report, NAMES, host=NAMES, image=NAMES, group=NAMES, state=NAMES | st.just("clean"))


@given(st.lists(REPORTS, min_size=1, max_size=3), st.integers(30, 120))
def test_no_name_breaks_out_of_the_table(reports: Sequence[DriftReport], width: int) -> None:
    text = printed(judge(reports, NOW), width)
    assert all(line.isprintable() for line in text.split("\n"))
    assert max(cell_len(line) for line in text.split("\n")) <= width


@given(st.lists(REPORTS, min_size=1, max_size=3))
def test_a_pipe_gets_a_line_an_instance_whatever_its_name(reports: Sequence[DriftReport]) -> None:
    fleet = judge(reports, NOW)
    lines = printed(fleet, None).split("\n")
    assert lines[1 + len(fleet.verdicts)] == ""
    assert all(line.isprintable() and line == line.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (12, "12s"), (7500, "2h 5m"), (-1, "0s"), (-300, "+5m"), (10**12, "11574074d 1h")]
)
def test_ages_are_short(seconds: int, text: str) -> None:
    assert age(NOW - seconds * SECOND, NOW) == text


def test_a_ratio_is_never_rounded_up_to_all() -> None:
    assert (percent(1.0), percent(0.99999), percent(2 / 3), percent(0.0)) == ("100%", "99.9%", "66.6%", "0%")


def test_one_instance_with_all_that_it_may_hold() -> None:
    one = drifted("i-0a1b2c3d4e5f60712", host="web-2", modified=2, added=1, removed=1, reverted=1, logins=1)
    fleet = judge([one], NOW)
    items = [
        item(
            key="/etc/ssh/sshd_config", severity="high", diff="@@ -1 +1 @@\n-PermitRootLogin no\n+PermitRootLogin yes"
        ),
        item(key="/etc/\x1bevil[bold]", change="added", expected={}, actual={"type": "file", "mode": "4755", "uid": 0}),
        item(key="/etc/motd", change="removed", expected={"sha256": "11", "target": None}, actual={}),
        item(key="curl:amd64", kind="package", change="reverted", expected={"held": False}, actual={"held": True}),
        item(key="root@10.0.0.1", kind="login", change="added", expected={}, actual={"tty": "pts/0"}, path_class=""),
        item(key="17 more items", kind="rest", actual={"count": 17}, expected={}),
    ]
    text = io.StringIO()
    print_instance(fleet, fleet.verdicts[0], items, Console(file=text, soft_wrap=True, highlight=False), NOW)
    assert_golden("instance.txt", text.getvalue())


def test_a_narrow_terminal_folds_no_digest_that_is_to_be_copied() -> None:
    changed = item(key="/etc/motd", expected={"sha256": "a" * 64}, actual={"sha256": "b" * 64})
    fleet = judge([drifted("i-1", modified=1)], NOW)
    text = io.StringIO()
    narrow = Console(file=text, width=40, force_terminal=True, highlight=False, color_system=None)
    print_instance(fleet, fleet.verdicts[0], [changed], narrow, NOW)
    lines = text.getvalue().splitlines()
    assert f"    sha256  expected {'a' * 64}" in lines
    assert f"            actual   {'b' * 64}" in lines


def test_no_instance_fills_the_screen_by_itself() -> None:
    name = "x" * 100_000
    one = drifted(name, host=name, image=name, group=name)
    fleet = judge([one], NOW, TRUSTED)
    assert len(printed(fleet, None)) < 5_000
    items = [
        item(
            key=name,
            kind=name,
            change=name,
            path_class=name,
            diff=name,
            actual={f"{n}{name}": name for n in range(200)},
        )
    ]
    text = io.StringIO()
    print_instance(fleet, fleet.verdicts[0], items, Console(file=text, soft_wrap=True, highlight=False), NOW)
    assert len(text.getvalue()) < 200_000
    assert "… 101 more attributes" in text.getvalue()
