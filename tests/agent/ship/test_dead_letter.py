"""The dead letters."""

import json
import os
from pathlib import Path

import pytest

from drift_agent.ship.dead_letter import DeadLetters

NOW = 1_700_000_000_000_000_000


def test_a_record_says_when_where_why_and_what(tmp_path: Path) -> None:
    path = tmp_path / "dead-letter.jsonl"
    DeadLetters(str(path)).add("influx", {b'm s="\xc3\xa9" 1': "bad\nfield"}, NOW)
    assert json.loads(path.read_text()) == {
        "at": "2023-11-14T22:13:20Z",
        "output": "influx",
        "reason": "bad\\nfield",
        "line": 'm s="é" 1',
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_file_is_bounded_with_one_rotation(tmp_path: Path) -> None:
    path = tmp_path / "dead-letter.jsonl"
    letters = DeadLetters(str(path), max_bytes=2000)
    for number in range(100):
        letters.add("influx", {b"m v=%d 1" % number: "bad"}, NOW)
    assert sorted(os.listdir(tmp_path)) == ["dead-letter.jsonl", "dead-letter.jsonl.1"]
    assert all(os.stat(tmp_path / name).st_size <= 2000 for name in os.listdir(tmp_path))
    assert json.loads(path.read_text().splitlines()[-1])["line"] == "m v=99 1"


def test_a_file_that_cannot_be_written_is_said_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    DeadLetters(str(tmp_path / "none" / "dead-letter.jsonl")).add("influx", {b"m": "bad"}, NOW)
    assert "cannot be written" in caplog.text
