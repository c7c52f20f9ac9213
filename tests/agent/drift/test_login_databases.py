"""What wtmpdb and lastlog2 wrote is read without a trace beside it; what a file may hold does no harm."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import need
from drift_agent.drift import login_databases
from drift_agent.drift.login_databases import TABLES, LoginDatabase
from drift_agent.drift.login_records import Login
from drift_agent.units import SECOND

WTMPDB, LASTLOG2 = TABLES
NOW = 1_700_000_000 * SECOND
LOGGED_IN = NOW - 60 * SECOND
WTMP = (
    "CREATE TABLE wtmp(ID INTEGER PRIMARY KEY, Type INTEGER, User TEXT NOT NULL, Login INTEGER, Logout INTEGER, "
    "TTY TEXT, RemoteHost TEXT, Service TEXT) STRICT"
)


class Host:
    """A root with a database of wtmpdb that somebody just wrote to."""

    def __init__(self, root: Path) -> None:
        self.file = root / WTMPDB.path[1:]
        self.file.parent.mkdir(parents=True)
        self.database = LoginDatabase(str(root), WTMPDB)
        with self.writing() as connection:
            connection.execute(WTMP)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            yield connection

    def add(self, user: str, host: str = "203.0.113.7", *, at: int = LOGGED_IN, service: str | None = None) -> None:
        with self.writing() as connection:
            add(connection, user, host, at=at, service=service)

    def users(self, *, since: int = 0, now: int = NOW) -> list[str]:
        return [login.user for login in self.database.logins(since, now)]


def add(
    connection: sqlite3.Connection,
    user: object,
    host: object = "203.0.113.7",
    *,
    at: int = LOGGED_IN,
    service: object = None,
) -> None:
    row = (3, user, at // 1000, "pts/1", host, service)
    connection.execute("INSERT INTO wtmp (Type, User, Login, TTY, RemoteHost, Service) VALUES (?, ?, ?, ?, ?, ?)", row)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_logins_of_wtmpdb(host: Host) -> None:
    host.add("admin")
    host.add("root", service="su-l")
    assert host.database.logins(0, NOW) == [Login("admin", "203.0.113.7", "terminal", LOGGED_IN)]


def test_logins_of_lastlog2(tmp_path: Path) -> None:
    file = tmp_path / LASTLOG2.path[1:]
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(
            "CREATE TABLE Lastlog2(Name TEXT PRIMARY KEY, Time INTEGER, TTY TEXT, RemoteHost TEXT, Service TEXT)"
        )
        for row in [("admin", 1000, "ssh", "203.0.113.7", "sshd"), ("root", 900, "tty1", "", "login")]:
            connection.execute("INSERT INTO Lastlog2 VALUES (?, ?, ?, ?, ?)", row)
    database = LoginDatabase(str(tmp_path), LASTLOG2)
    assert database.logins(1000 * SECOND, NOW) == [Login("admin", "203.0.113.7", "ssh", 1000 * SECOND)]


def test_what_is_older_is_not_read(host: Host) -> None:
    host.add("builder", at=LOGGED_IN - 2000)
    host.add("admin")
    assert host.users(since=LOGGED_IN) == ["admin"]


def test_one_who_comes_again_and_again_is_read_once(host: Host) -> None:
    for second in (9, 7, 8):
        host.add("admin", at=second * SECOND)
    assert host.database.logins(0, NOW) == [Login("admin", "203.0.113.7", "terminal", 7 * SECOND)]


def test_a_database_is_read_again_only_when_it_was_written(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.add("admin")
    os.utime(host.file, ns=(0, LOGGED_IN))
    assert host.users() == ["admin"]
    monkeypatch.setattr(login_databases, "_query", None)  # whoever would ask fails
    assert host.users() == []
    monkeypatch.undo()
    host.add("late")
    assert host.users() == ["admin", "late"]


def test_a_database_that_was_just_written_may_be_written_again(host: Host) -> None:
    host.add("admin")
    os.utime(host.file, ns=(0, NOW))
    assert host.users() == ["admin"]
    assert host.users() == ["admin"], "its time says nothing yet"


def test_without_a_database_or_with_an_empty_file_nobody_came(tmp_path: Path) -> None:
    database = LoginDatabase(str(tmp_path), WTMPDB)
    assert database.logins(0, NOW) == []
    file = tmp_path / WTMPDB.path[1:]
    file.parent.mkdir(parents=True)
    file.touch()
    assert database.logins(0, NOW) == []


def test_debians_link_is_followed_within_the_root(host: Host, tmp_path: Path) -> None:
    host.add("admin")
    (tmp_path / "var/log").mkdir()
    host.file.rename(tmp_path / "var/log/wtmp.db")
    host.file.symlink_to("../../log/wtmp.db")
    assert host.users() == ["admin"]


def test_a_login_that_is_still_in_the_log_ahead_is_read(host: Host) -> None:
    with host.writing() as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        add(connection, "admin")
        assert (host.file.parent / "wtmp.db-wal").stat().st_size > 0
        assert host.users() == ["admin"]


def test_who_just_comes_in_is_neither_held_up_nor_read_before(host: Host) -> None:
    host.add("admin")
    with host.writing() as connection:
        connection.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the end
        connection.execute("BEGIN IMMEDIATE")
        for number in range(2000):
            add(connection, f"user-{number}")
        assert host.users() == ["admin"]
        connection.execute("COMMIT")
    assert len(host.users()) == 2001


def test_nothing_is_written_beside_it_and_the_folder_need_not_be_writable(host: Host) -> None:
    host.add("admin")
    before = {path: path.stat().st_mtime_ns for path in (host.file, host.file.parent)}
    assert host.users() == ["admin"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [path.name for path in host.file.parent.iterdir()] == ["wtmp.db"]


@pytest.mark.parametrize(
    "content",
    [b"no database at all", b"SQLite format 3\0" + b"\xff" * 200, b"\0" * 4096],
)
def test_what_is_no_database_is_said(host: Host, content: bytes) -> None:
    host.file.write_bytes(content)
    with pytest.raises(OSError, match="is no database of logins that can be read"):
        host.users()


def test_a_database_with_other_columns_is_said(host: Host) -> None:
    with host.writing() as connection:
        connection.execute("DROP TABLE wtmp")
        connection.execute("CREATE TABLE wtmp (x)")
    with pytest.raises(OSError, match="no such column"):
        host.users()


def test_a_schema_that_is_no_text_is_said(host: Host) -> None:
    content = host.file.read_bytes()
    host.file.write_bytes(
        content.replace(b"tablewtmpwtmp", b"tablewtm\xffwtmp").replace(b"CREATE TABLE", b"CREATE\xffTABLE")
    )
    with pytest.raises(OSError, match="is no database of logins that can be read"):
        host.users()


def test_a_huge_file_is_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_databases, "MAX_BYTES", 1000)
    with pytest.raises(OSError, match="File too large"):
        host.users()


def test_a_query_without_an_end_is_ended(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_databases, "QUERY_SECONDS", 0.1)
    with host.writing() as connection:
        connection.execute("DROP TABLE wtmp")
        connection.execute(
            "CREATE VIEW wtmp AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
            "SELECT 3 AS Type, 'x' AS User, n AS Login, 'pts/1' AS TTY, '' AS RemoteHost, '' AS Service FROM r"
        )
    with pytest.raises(OSError, match="interrupted"):
        host.users()


def test_rows_and_texts_are_bounded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_databases, "MAX_ROWS", 3)
    with host.writing() as connection:
        for number in range(9):
            add(connection, f"user-{number}")
    assert len(host.users()) == 3
    host.add("x" * (login_databases.MAX_TEXT_BYTES + 1))
    with pytest.raises(OSError, match="too big"):
        host.users()


def test_values_of_any_type_are_no_logins(host: Host) -> None:
    with host.writing() as connection:
        connection.execute("DROP TABLE wtmp")
        connection.execute("CREATE TABLE wtmp (Type, User, Login, TTY, RemoteHost, Service)")
        for user, at in [(7, 1), (b"x", 1), (None, 1), ("admin", "soon"), ("admin", b"x"), ("\0", 1)]:
            connection.execute("INSERT INTO wtmp VALUES (3, ?, ?, 'pts/1', X'FF', 7)", (user, at))
    assert [login.user for login in host.database.logins(0, NOW)] in ([], ["\0"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 12287), junk=st.binary(min_size=1, max_size=64))
def test_a_damaged_database_gives_logins_or_one_error(tmp_path: Path, position: int, junk: bytes) -> None:
    root = tmp_path / str(len(list(tmp_path.iterdir())))
    host = Host(root)
    host.add("admin")
    with host.file.open("r+b") as file:
        file.seek(position)
        file.write(junk)
    with suppress(OSError):
        host.users()


def test_a_reader_with_no_right_to_write_reads_it(host: Host) -> None:
    """As the agent's user does: it may read every file, and write none of them."""
    need.root()
    host.add("admin")
    host.file.chmod(0o600)
    code = (
        "import sys; from drift_agent.drift.login_databases import *; "
        "print(LoginDatabase(sys.argv[1], TABLES[0]).logins(0, 0)[0].user)"
    )
    done = subprocess.run(
        [
            "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
            "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
            "--bounding-set=-all,+dac_read_search", sys.executable, "-c", code, str(host.file.parents[3]),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("admin\n", "")
