"""The spool's file."""

import os
import sqlite3
from pathlib import Path

import pytest

from drift_agent.errors import InputError
from drift_agent.ship.database import APPLICATION_ID, DamagedError, Database, set_aside, translated

MAX = 64 << 20


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "spool.db"), MAX)
    database.rows("SELECT 1")
    assert {os.stat(path).st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    database.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="schema 99 and this agent knows 1: upgrade driftline"):
        Database(str(path), MAX)


def test_another_applications_database_counts_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 42")
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(DamagedError):
        Database(str(path), MAX)


def test_a_file_without_its_tables_counts_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    Database(str(path), MAX).close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE owed")
    with pytest.raises(DamagedError, match="tables are missing"):
        Database(str(path), MAX)


def test_garbage_counts_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_bytes(b"garbage " * 4096)
    with pytest.raises(DamagedError), translated():
        Database(str(path), MAX)


def test_setting_aside_takes_the_log_along_and_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_text("a")
    (tmp_path / "spool.db-wal").write_text("b")
    assert set_aside(str(path), 17) == f"{path}.damaged-17"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["spool.db.damaged-17", "spool.db.damaged-17-wal"]


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "spool.db"), MAX)
    with pytest.raises(ZeroDivisionError), database.transaction() as run:
        _ = run.execute("INSERT INTO output (label) VALUES ('a')").rowcount // 0
    assert database.number("SELECT count(*) FROM output") == 0
    database.close()
