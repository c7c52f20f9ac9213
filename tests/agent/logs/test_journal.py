"""The journal: journalctl's JSON in, the cursor kept; a stand-in program plays journalctl."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift_agent.logs.handler import Counts
from drift_agent.logs.journal import Journal, parse_entry
from drift_agent.logs.raw import RawLines
from drift_agent.logs.stamps import LineTime, Stamps
from drift_agent.model import Point
from waiting import PATIENCE

NOW = 1_700_000_000_000_000_000


def entry(number: int, **more: object) -> dict[str, object]:
    return {
        "__CURSOR": f"s=ab;i={number:x};b=cd", "__REALTIME_TIMESTAMP": "1795410089123456", "PRIORITY": "3",
        "SYSLOG_FACILITY": "4", "SYSLOG_IDENTIFIER": "sshd", "_PID": "1", "_HOSTNAME": "web1",
        "MESSAGE": f"message {number}", **more,
    }  # fmt: skip


class Journalctl:
    """Starts a program that prints entries behind the cursor that it is given, then follows like journalctl does."""

    def __init__(self, folder: Path, *, follows: bool = True) -> None:
        self.file = folder / "entries"
        self.calls: list[list[str]] = []
        self._follows = follows

    def __call__(self, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        self.calls.append(list(arguments))
        cursor = next((one.partition("=")[2] for one in arguments if one.startswith("--after-cursor=")), "")
        program = (
            "import sys, time\n"
            "path, cursor, follows = sys.argv[1:]\n"
            "lines = open(path).readlines()\n"
            "seen = [n for n, line in enumerate(lines) if cursor and cursor in line]\n"
            "sys.stdout.writelines(lines[seen[0] + 1 if seen else 0:]); sys.stdout.flush()\n"
            "time.sleep(9999 if follows == 'True' else 0)\n"
        )
        return subprocess.Popen(
            [sys.executable, "-c", program, str(self.file), cursor, str(self._follows)], stdout=subprocess.PIPE
        )


def follow(journalctl: Journalctl, restored: bytes | None = None, start: str = "auto") -> tuple[Journal, Counts]:
    stamps, counts = Stamps(), Counts()
    raw = RawLines(frozenset(range(8)), stamps, counts)
    return Journal("", start, None, raw, counts, stamps, restored=restored, spawn=journalctl), counts


def poll(journal: Journal, monotonic: float = 0.0) -> list[Point]:
    journal.read(NOW, monotonic)
    return journal.points(NOW)


def poll_until(journal: Journal, count: int) -> list[Point]:
    points: list[Point] = []
    deadline = time.monotonic() + PATIENCE
    while len(points) < count:
        assert time.monotonic() < deadline, points
        points += [point for point in poll(journal) if point.measurement == "syslog"]
    return points


def test_entries_become_lines_of_syslog_and_the_cursor_is_where_they_end(tmp_path: Path) -> None:
    journalctl = Journalctl(tmp_path)
    journalctl.file.write_text("".join(json.dumps(entry(number)) + "\n" for number in range(3)))
    journal, _ = follow(journalctl)
    points = poll_until(journal, 3)
    assert [point.fields["message"] for point in points] == ["message 0", "message 1", "message 2"]
    assert points[0].tags == {"severity": "err", "facility": "auth", "hostname": "web1", "appname": "sshd"}
    assert points[0].time // 1000 == 1795410089123456
    assert len({point.time for point in points}) == 3
    assert journal.state() == b"s=ab;i=2;b=cd"
    assert "--boot" in journalctl.calls[0]
    journal.close()
    journal, _ = follow(journalctl, restored=b"s=ab;i=1;b=cd")
    assert [point.fields["message"] for point in poll_until(journal, 1)] == ["message 2"]
    journal.close()


@pytest.mark.parametrize(("start", "argument"), [("beginning", "--no-tail"), ("end", "--lines=0")])
def test_where_the_first_start_begins(tmp_path: Path, start: str, argument: str) -> None:
    journalctl = Journalctl(tmp_path)
    journalctl.file.write_text("")
    journal, _ = follow(journalctl, start=start)
    poll(journal)
    journal.close()
    assert argument in journalctl.calls[0]
    assert "--boot" not in journalctl.calls[0]


def test_a_journalctl_that_ends_is_started_again_after_the_last_entry(tmp_path: Path) -> None:
    journalctl = Journalctl(tmp_path, follows=False)
    journalctl.file.write_text(json.dumps(entry(1)) + "\n")
    journal, _ = follow(journalctl)
    poll_until(journal, 1)
    deadline = time.monotonic() + PATIENCE
    later = 0.0
    while len(journalctl.calls) < 2:
        assert time.monotonic() < deadline
        later += 100
        assert poll(journal, later) == []
    assert "--after-cursor=s=ab;i=1;b=cd" in journalctl.calls[1]
    journal.close()


def test_a_machine_without_journalctl_is_said_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    def missing(_: Sequence[str]) -> "subprocess.Popen[bytes]":
        raise FileNotFoundError(2, "No such file", "journalctl")

    stamps, counts = Stamps(), Counts()
    journal = Journal("", "auto", None, RawLines(frozenset(), stamps, counts), counts, stamps, spawn=missing)
    for second in range(15):
        assert poll(journal, float(second)) == []
    assert caplog.text.count("journalctl cannot be started") == 2


def test_our_own_words_are_never_fed_back() -> None:
    assert parse_entry(entry(1, SYSLOG_IDENTIFIER="drift-agent")) is None
    assert parse_entry(entry(1, _SYSTEMD_UNIT="driftline-agent.service")) is None
    assert parse_entry(entry(1)) is not None


def test_messages_that_are_no_text_and_fields_that_are_there_twice() -> None:
    message = parse_entry(entry(1, MESSAGE=[104, 105, 255], SYSLOG_IDENTIFIER=["a", "b"], PRIORITY="99"))
    assert message is not None
    assert (message.message, message.appname, message.severity) == ("hi\udcff", "a", 5)
    assert message.time == LineTime(1795410089123456000, 1000)


@given(
    st.dictionaries(
        st.sampled_from(list(entry(1))),
        st.one_of(st.none(), st.text(max_size=25), st.lists(st.integers() | st.text(), max_size=4)),
    )
)
@settings(deadline=None)
def test_no_entry_breaks_it(fields: dict[str, object]) -> None:
    message = parse_entry(fields)
    if message is not None:
        assert 0 <= message.severity < 8
        assert 0 <= message.facility < 24
        assert message.time is None or message.time.ns < 2**63
