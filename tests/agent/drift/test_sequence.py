"""The number of the last report outlives a full disk, and belongs to one database alone."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drift_agent.drift.sequence import SequenceFile
from drift_agent.drift.state import Memory, StateStore


def full(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_a_number_that_could_not_be_written_is_not_said_again_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "state.db")
    store = StateStore.open(path, "m", "")
    store.write(Memory(seq=3))
    with monkeypatch.context() as patched:
        patched.setattr(StateStore, "_write", full)
        for seq in (4, 5):
            with pytest.raises(sqlite3.OperationalError):
                store.write(Memory(seq=seq))
    store.close()
    store = StateStore.open(path, "m", "")
    assert store.memory().seq == 5
    store.write(Memory(seq=6))
    assert store.memory().seq == 6
    store.close()


def test_its_room_is_taken_while_there_is_some(tmp_path: Path) -> None:
    path = tmp_path / "state.db.seq"
    sequence = SequenceFile(str(path), "a")
    size = path.stat().st_size
    sequence.note(10**18)
    assert (path.stat().st_size, sequence.last()) == (size, 10**18)


def test_another_database_starts_anew(tmp_path: Path) -> None:
    """Were it not so, a wiped state.db would go on counting, and hide that it was wiped."""
    path = str(tmp_path / "seq")
    SequenceFile(path, "a").note(7)
    assert SequenceFile(path, "a").last() == 7
    assert SequenceFile(path, "b").last() == 0
    SequenceFile(path, "b").note(2)
    assert SequenceFile(path, "a").last() == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=80))
def test_whatever_lies_there_is_no_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "seq"
    path.write_bytes(content)
    sequence = SequenceFile(str(path), "a")
    assert sequence.last() >= 0
    sequence.note(9)
    assert sequence.last() == 9


def test_a_place_that_cannot_be_written_says_nothing(tmp_path: Path) -> None:
    sequence = SequenceFile(str(tmp_path / "gone/seq"), "a")
    sequence.note(9)
    assert sequence.last() == 0
