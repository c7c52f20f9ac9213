"""The spool's file over time: opened, set aside, tried again, and what is said of it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from drift_agent.errors import InputError
from drift_agent.ship.database import DamagedError, Database, UnwritableError
from drift_agent.ship.spool_file import SpoolFile
from fakes import FakeClock


class Desk:
    """A file in a folder; `opened` counts the databases that were opened."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock()
        self.opened: list[Database] = []
        self.file = SpoolFile(str(path), 64 << 20, self.clock, self.opened.append)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "spool.db")
    yield made
    made.file.close()


def one(_: Database) -> int:
    return 1


def full(_: Database) -> int:
    raise UnwritableError("database or disk is full")


def damaged(_: Database) -> int:
    raise DamagedError("malformed")


def test_the_file_is_opened_by_its_first_use_and_once(desk: Desk) -> None:
    assert desk.opened == []
    assert [desk.file.use(one), desk.file.write(one), desk.file.use(one)] == [1, 1, 1]
    assert len(desk.opened) == 1


def test_a_damaged_file_is_set_aside_and_the_work_done_on_a_new_one(desk: Desk) -> None:
    desk.file.use(one)

    def on_the_second(database: Database) -> int:
        return damaged(database) if database is desk.opened[0] else 2

    assert desk.file.use(on_the_second) == 2
    (aside,) = desk.file.damaged
    assert Path(aside).exists()
    assert len(desk.opened) == 2
    assert desk.file.problem == ""


def test_one_that_is_damaged_however_often_it_is_made_is_a_problem_and_no_loop(desk: Desk) -> None:
    assert desk.file.use(damaged) is None
    assert desk.file.problem == "it is damaged again as soon as it is made"
    assert len(desk.opened) == 2


def test_after_a_failure_it_is_left_in_peace_for_a_second(desk: Desk) -> None:
    assert desk.file.may_try()
    assert desk.file.use(full) is None
    assert desk.file.problem == "database or disk is full"
    assert not desk.file.may_try()
    desk.clock.advance(1.0)
    assert desk.file.may_try()


def test_only_a_write_shows_that_it_can_be_written_again(desk: Desk) -> None:
    desk.file.use(full)
    assert desk.file.use(one) == 1
    assert desk.file.problem
    assert desk.file.write(full) is None
    assert desk.file.problem
    assert desk.file.write(one) == 1
    assert desk.file.problem == ""


def test_trouble_is_said_once_and_its_end_when_nothing_failed_for_ten_seconds(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "driftline.ship")

    def said() -> list[str]:
        return [record.message.removeprefix(f"{desk.file.path} ").partition(":")[0] for record in caplog.records]

    for _ in range(3):
        desk.file.write(full)
        desk.clock.advance(9.0)
        desk.file.write(one)
    assert said() == ["cannot be written"]
    desk.clock.advance(1.0)
    desk.file.write(one)
    desk.file.write(one)
    assert said() == ["cannot be written", "can be written again"]
    desk.file.write(full)
    assert said()[2:] == ["cannot be written"]


def test_a_mistake_of_ours_is_raised_as_it_is(desk: Desk) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        desk.file.use(lambda database: database.number("SELECT 1 FROM nowhere"))


def test_a_folder_that_is_not_there_is_a_problem_that_may_pass(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "later/spool.db")
    assert desk.file.write(one) is None
    assert desk.file.problem == "No such file or directory"
    (tmp_path / "later").mkdir()
    assert desk.file.write(one) == 1
    assert desk.file.problem == ""
    desk.file.close()


def test_a_database_that_its_owner_refuses_is_closed_and_opened_anew_the_next_time(tmp_path: Path) -> None:
    opened: list[Database] = []

    def on_open(database: Database) -> None:
        opened.append(database)
        if len(opened) == 1:
            raise InputError("of a newer version")

    file = SpoolFile(str(tmp_path / "spool.db"), 64 << 20, FakeClock(), on_open)
    with pytest.raises(InputError):
        file.use(one)
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        opened[0].rows("SELECT 1")
    assert file.use(one) == 1
    file.close()


def test_once_closed_nothing_is_read_or_written(desk: Desk) -> None:
    desk.file.use(one)
    desk.file.close()
    assert desk.file.use(one) is desk.file.write(one) is None
    assert len(desk.opened) == 1


def test_the_space_of_a_backlog_is_given_back_at_most_once_a_minute(desk: Desk) -> None:
    def size() -> int:
        return Path(desk.file.path).stat().st_size

    def fill_and_empty(database: Database) -> int:
        with database.transaction() as run:
            run.execute("INSERT INTO body VALUES (1, zeroblob(2000000))")
        with database.transaction() as run:
            run.execute("DELETE FROM body")
        database.truncate_log()
        return 1

    desk.file.write(fill_and_empty)
    large = size()
    desk.file.shrink()
    small = size()
    assert small < large // 4
    desk.file.write(fill_and_empty)
    desk.file.shrink()
    assert size() > 4 * small
    desk.clock.advance(60.0)
    desk.file.shrink()
    assert size() == small
