"""`state.db` keeps what it was given, for the machine it belongs to."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drift_agent.drift.state import Memory, StateStore, StateUnavailableError
from drift_agent.drift.state_record import UNKNOWN, Delta, Slot
from drift_agent.errors import InputError
from drift_agent.model import Change

CHANGE = Change("file", "/etc/motd", "modified", expected={"size": 1}, actual={"size": 2}, diff="-a\n+b", first_seen=7)


def test_what_was_written_is_there_after_opening_it_again(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    store = StateStore.open(path, "m", "i-1")
    store.write(Memory(seq=3, sealed=9, seal="1:sha256:x", state="clean"), Delta(put={"seal": [CHANGE]}))
    store.close()
    store = StateStore.open(path, "m", "i-1")
    assert store.memory() == Memory(seq=3, sealed=9, seal="1:sha256:x", state="clean")
    assert store.items("seal") == {("file", "/etc/motd"): CHANGE}
    assert store.items("open") == {}
    store.write(Memory(seq=4), Delta(drop={"seal": [("file", "/etc/motd")]}))
    assert store.items("seal") == {}
    store.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [("seq", "x"), ("seq", -5), ("sealed", None), ("since", 1.5), ("seal", 7), ("state", b"\xff"), ("report_end", "")],
)
def test_a_value_that_cannot_be_is_none_and_said_and_no_item_is_lost_with_it(
    tmp_path: Path, name: str, value: object
) -> None:
    """It was an agent that failed at each start."""
    path = str(tmp_path / "state.db")
    written = Memory(seq=3, report=5, report_end=6, state="clean", since=7, sealed=9, seal="1:sha256:x", first_boot=2)
    store = StateStore.open(path, "m", "i-1")
    store.write(written, Delta(put={"reverted": [replace(CHANGE, change="reverted")]}))
    store.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = ? WHERE name = ?", (value, name))
    said: list[str] = []
    store = StateStore.open(path, "m", "i-1", said.append)
    assert store.memory() == replace(written, **{name: getattr(Memory(), name)})
    assert said == [f"state.db: {name} cannot be read; it begins anew"]
    assert len(store.items("reverted")) == 1
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = CAST(x'ff' AS TEXT) WHERE name = 'seal'",
        "INSERT INTO meta VALUES (CAST(x'ff' AS TEXT), 3)",
        "UPDATE meta SET value = 'x' WHERE name = 'version'",
        "UPDATE meta SET value = NULL WHERE name = 'version'",
    ],
)
def test_damaged_text_among_the_values_loses_no_item(tmp_path: Path, statement: str) -> None:
    path = str(tmp_path / "state.db")
    store = StateStore.open(path, "m", "i-1")
    store.write(Memory(seq=3, seal="1:sha256:x"), Delta(put={"open": [CHANGE]}))
    store.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)
    for store in (StateStore.copy(path, "m", "i-1"), StateStore.open(path, "m", "i-1")):
        assert store.memory().seq == 3
        assert store.items("open") == {("file", "/etc/motd"): CHANGE}
        store.close()


def test_tables_of_another_shape_are_set_aside(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    StateStore.open(path, "m", "i-1").close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE item; CREATE TABLE item (a)")
    said: list[str] = []
    store = StateStore.open(path, "m", "i-1", said.append)
    assert store.items("open") == {}
    assert "no such column" in said[0]
    store.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.binary(min_size=1, max_size=40))
def test_keys_of_any_bytes_come_back(tmp_path: Path, name: bytes) -> None:
    key = "/" + os.fsdecode(name.replace(b"\0", b"/"))
    store = StateStore.open(str(tmp_path / "state.db"), "m", "")
    store.write(Memory(), Delta(put={"open": [Change("file", key, "added", actual={"target": key})]}))
    assert store.items("open")["file", key].actual == {"target": key}
    store.close()


def test_state_of_another_machine_or_instance_is_set_aside(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    said: list[str] = []
    for machine, cloud_id in (("m", "i-1"), ("other", "i-1"), ("other", "i-2")):
        store = StateStore.open(path, machine, cloud_id, said.append)
        assert store.memory().seq == 0
        store.write(Memory(seq=5))
        store.close()
    assert len(said) == 2
    assert (tmp_path / "state.db.aside-1").exists()
    assert (tmp_path / "state.db.aside-2").exists()


def test_an_id_that_is_unknown_today_does_not_lose_the_state(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    for cloud_id in ("", "i-1", "", "i-1"):
        store = StateStore.open(path, "m", cloud_id)
        seq = store.memory().seq
        store.write(Memory(seq=seq + 1))
        store.close()
    assert seq == 3


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"no database at all" * 100)
    said: list[str] = []
    StateStore.open(str(path), "m", "", said.append).close()
    assert (tmp_path / "state.db.aside-1").read_bytes().startswith(b"no database")
    assert "cannot be read" in said[0]


def test_a_damaged_page_anywhere_never_loses_an_item_in_silence(tmp_path: Path) -> None:
    """Either everything is there, with what cannot be read named, or the file is set aside, which reads as wiped."""
    path = tmp_path / "state.db"
    put: dict[Slot, list[Change]] = {"open": [replace(CHANGE, key=f"/etc/{number}") for number in range(200)]}
    store = StateStore.open(str(path), "m", "i-1")
    store.write(Memory(seq=7), Delta(put=dict(put)))
    store.close()
    whole = path.read_bytes()
    for page in range(len(whole) // 4096):
        for at in (0, 8, 2000):
            damaged = bytearray(whole)
            damaged[page * 4096 + at : page * 4096 + at + 64] = bytes(range(64))
            path.write_bytes(damaged)
            said: list[str] = []
            store = StateStore.open(str(path), "m", "i-1", said.append)
            assert len(store.items("open")) == 200 or "set aside" in said[0]
            store.write(store.memory(), Delta(put={"login": [CHANGE]}))
            store.close()


def test_a_file_that_cannot_be_opened_for_now_is_left_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A memory that is set aside reads as wiped, for the life of the instance: a lock is no reason for that."""
    monkeypatch.setattr("drift_agent.drift.state_file._LOCK_SECONDS", 0.01)
    path = str(tmp_path / "state.db")
    store = StateStore.open(path, "m", "i-1")
    store.write(Memory(seq=7))
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateUnavailableError, match="locked"):
            StateStore.open(path, "m", "i-1")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StateUnavailableError, match="cannot be kept there"):
        StateStore.open(str(tmp_path / "folder"), "m", "i-1")
    store = StateStore.open(path, "m", "i-1")
    assert store.memory().seq == 7
    store.close()
    assert not list(tmp_path.glob("*.aside-*"))


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    StateStore.open(path, "m", "").close()
    db = sqlite3.connect(path)
    db.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
    db.commit()
    db.close()
    with pytest.raises(InputError, match="later version"):
        StateStore.open(path, "m", "")


def test_only_the_agent_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    StateStore.open(str(path), "m", "").close()
    assert path.stat().st_mode & 0o077 == 0


DAMAGED: list[object] = [
    "", "no json", "[]", "{}", "[" * 100_000, b"\xff\xfe", 7, '{"change":"modified"}',
    '{"change":"put right","path_class":"frozen","severity":"low","expected":{},"actual":{},"diff":"","first_seen":1}',
    '{"change":["added"],"path_class":"frozen","severity":"low","expected":{},"actual":{},"diff":"","first_seen":1}',
    '{"change":"added","path_class":"frozen","severity":"low","expected":{},"actual":[],"diff":"","first_seen":1}',
    '{"change":"added","path_class":"frozen","severity":"low","expected":{},"actual":{},"diff":"","first_seen":"x"}',
]  # fmt: skip


@pytest.mark.parametrize("slot", ["open", "reverted", "seal", "login"])
@pytest.mark.parametrize("record", DAMAGED, ids=range(len(DAMAGED)))
def test_a_record_that_cannot_be_read_is_an_item_of_its_own(tmp_path: Path, slot: Slot, record: object) -> None:
    path = str(tmp_path / "state.db")
    StateStore.open(path, "m", "").close()
    db = sqlite3.connect(path)
    db.execute("INSERT INTO item VALUES (?, 'file', ?, ?)", (slot, b"/etc/motd\n", record))
    db.commit()
    db.close()
    said: list[str] = []
    store = StateStore.open(path, "m", "", said.append)
    (change,) = store.items(slot).values()
    store.close()
    assert (change.kind, change.key, change.actual) == ("file", "/etc/motd\n", UNKNOWN)
    assert (change.change == "reverted") == (slot == "reverted")
    assert len(said) == 1
    assert "cannot be read" in said[0]
    assert "\n" not in said[0]
