"""The table of outcomes in docs/delivery.md, each row against real servers, or the stub where no server gives it.

Time is the test's own: a step is taken, and the clock put forward by what the sender then wants to wait.
"""

import json
import math
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from drift_agent.config import OutputOptions, SpoolOptions
from drift_agent.ship.dead_letter import DeadLetters
from drift_agent.ship.deadline import Watchdog
from drift_agent.ship.http import HttpClient
from drift_agent.ship.output import Output
from drift_agent.ship.sender import Sender
from drift_agent.ship.spool import Spool
from fakes import FakeClock
from servers import Influxd1, Influxd2, InfluxQLServer
from stub_influx import Reply, StubInflux, answer, drip, drip_body, raw, reset, silence
from waiting import PATIENCE, wait_until

T0 = 1_700_000_000_000_000_000


def line(number: int, field: str = "v=1") -> str:
    return f"m,n={number} {field} {T0 + number}"


class Hand(Watchdog):
    """Cuts when the test says so, and never by the time: which exchange is cut is not the machine's to choose."""

    def arm(self, cut: Callable[[str], None], deadline: float) -> None:
        super().arm(cut, math.inf)

    def cut(self) -> None:
        for _, cut in list(self._armed.values()):
            cut("no whole answer within the time")


class Way:
    """Spool, sender and HTTP to one server, driven by hand."""

    def __init__(self, folder: Path, options: OutputOptions) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.watchdog = Hand()
        self.spool = Spool.open(folder / "spool.db", SpoolOptions(), [options], self.clock)
        self.output = Output(options, HttpClient(options, self.watchdog, PATIENCE), self.clock)
        letters = DeadLetters(str(folder / "dead-letter.jsonl"))
        self.sender = Sender(
            self.spool, self.output, letters, self.clock, flush_interval=1.0, flush_phase=0.0, rng=random.Random(1)
        )

    def put(self, *lines: str) -> None:
        self.spool.put({"metrics": lines})

    def waiting(self) -> int:
        return sum(lane.points for lane in self.spool.stats().lanes.values())

    def run(self, seconds: float = 600.0) -> None:
        """Until nothing waits, for at most `seconds` of the clock."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end and self.waiting():
            self.clock.advance(self.sender.step())

    def run_with_more(self) -> None:
        """The same while points go on coming, which may be what it takes to tell a bad line from a bad server."""
        for number in range(900_000, 900_030):
            self.run(30)
            if not self.waiting():
                return
            self.put(line(number))

    def dead(self) -> dict[str, str]:
        path = self.folder / "dead-letter.jsonl"
        records = [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []
        return {record["line"]: record["reason"] for record in records}

    def close(self) -> None:
        self.output.close()
        self.watchdog.end()
        self.spool.close()


MakeWay = Callable[..., Way]


@pytest.fixture
def way(tmp_path: Path) -> Iterator[MakeWay]:
    made: list[Way] = []

    def make(options: OutputOptions) -> Way:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Way(folder, options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def stored(server: InfluxQLServer, database: str) -> set[str]:
    """The tags `n` of what is stored, by whatever field."""
    return {str(row["n"]) for row in server.rows('SELECT * FROM "m"', database)}


def is_stored(server: InfluxQLServer, database: str, wanted: Iterable[object]) -> bool:
    """All of these are stored, now or within seconds: openGemini shows what it has taken a little later."""
    wait_until(lambda: stored(server, database) >= {str(number) for number in wanted}, what=f"storing in {server.name}")
    return True


# ------------------------------------------------------------------------------------------------------ real servers


@pytest.fixture(params=["influxd1", "influxd2 /write", "influxd2 /api/v2/write", "opengemini"])
def real(request: pytest.FixtureRequest) -> tuple[InfluxQLServer, OutputOptions]:
    if request.param in ("influxd1", "opengemini"):
        one: InfluxQLServer = request.getfixturevalue(request.param)
        return one, OutputOptions(url=one.url, database=one.new_database())
    two: Influxd2 = request.getfixturevalue("influxd2")
    org = "" if request.param.endswith(" /write") else two.org
    return two, OutputOptions(url=two.url, database=two.new_database(), org=org, token=two.new_token("write"))


Real = tuple[InfluxQLServer, OutputOptions]


def test_lines_that_cannot_be_parsed_are_the_only_ones_lost(real: Real, way: MakeWay) -> None:
    server, options = real
    one = way(options)
    bad = [line(-3, "v=nonsense"), "no fields at all", line(-7, "v=9223372036854775808i")]
    good = [line(n) for n in range(100)]
    one.put(*good[:50], *bad, *good[50:])
    one.run_with_more()
    if server.name == "opengemini":
        assert one.dead() == {}  # it leaves them out without a word
    else:
        assert set(one.dead()) == set(bad)
        assert all(one.dead().values())
    assert is_stored(server, options.database, range(100))
    assert not stored(server, options.database) & {"-3", "-7"}


def test_a_body_of_bad_lines_alone_is_given_up_and_holds_up_nothing(real: Real, way: MakeWay) -> None:
    server, options = real
    one = way(options)
    one.put("nonsense", "more nonsense")
    one.run_with_more()
    one.put(line(1))
    one.run()
    assert set(one.dead()) == {"nonsense", "more nonsense"}
    assert is_stored(server, options.database, [1])


def test_lines_whose_type_conflicts_are_the_only_ones_lost(real: Real, way: MakeWay) -> None:
    server, options = real
    one = way(options)
    one.put(line(0))
    one.run()
    bad = [line(n, 'v="text"') for n in (5, 6, 40)]
    one.put(*[line(n, 'v="text"') if n in (5, 6, 40) else line(n) for n in range(1, 60)])
    one.run_with_more()
    assert set(one.dead()) == set(bad)
    assert is_stored(server, options.database, set(range(60)) - {5, 6, 40})
    assert not stored(server, options.database) & {"5", "6", "40"}


def test_of_lines_that_are_bad_in_different_ways_each_is_found(real: Real, way: MakeWay) -> None:
    """InfluxDB 1.x speaks of the conflicts alone, and leaves the others out of its answer; openGemini always does."""
    server, options = real
    one = way(options)
    one.put(line(0))
    one.run()
    conflicts, unreadable = [line(-5, 'v="text"'), line(-7, 'v="text"')], [line(-6, "v=nonsense"), "nonsense"]
    one.put(*[line(n) for n in range(1, 30)], *conflicts, *unreadable, *[line(n) for n in range(30, 60)])
    one.run_with_more()
    assert set(one.dead()) == {*conflicts, *(unreadable if server.name != "opengemini" else ())}
    assert is_stored(server, options.database, range(60))


def test_points_outside_the_retention_are_the_only_ones_lost(influxd1: Influxd1, way: MakeWay) -> None:
    database = influxd1.new_database()
    influxd1.query(f'CREATE RETENTION POLICY "week" ON "{database}" DURATION 7d REPLICATION 1 DEFAULT')
    one = way(OutputOptions(url=influxd1.url, database=database))
    now = time.time_ns()
    old, new = [line(n) for n in range(50)], [f"m,n={n} v=1 {now + n}" for n in range(50, 100)]
    one.put(*old, *new)
    one.run_with_more()
    assert set(one.dead()) >= set(old)
    assert not set(one.dead()) & set(new)
    assert stored(influxd1, database) >= {str(n) for n in range(50, 100)}


def test_a_missing_database_loses_nothing_and_is_written_once_it_is_made(influxd1: Influxd1, way: MakeWay) -> None:
    database = influxd1.new_name()
    one = way(OutputOptions(url=influxd1.url, database=database))
    one.put(line(1))
    one.run(100)
    assert one.waiting() == 1
    assert "404" in one.sender.numbers.last_error
    influxd1.query(f'CREATE DATABASE "{database}"')
    one.run(31)
    assert stored(influxd1, database) == {"1"}


def test_a_missing_bucket_loses_nothing(influxd2: Influxd2, way: MakeWay) -> None:
    one = way(OutputOptions(url=influxd2.url, org=influxd2.org, bucket="none", token=influxd2.token))
    one.put(line(1))
    one.run(100)
    assert one.waiting() == 1
    assert one.dead() == {}
    assert "404" in one.sender.numbers.last_error


def test_a_wrong_password_loses_nothing_and_a_new_one_is_used_at_once(
    influxd1_auth: Influxd1, way: MakeWay, tmp_path: Path
) -> None:
    database = influxd1_auth.new_database()
    password = tmp_path / "password"
    password.write_text("wrong\n")
    one = way(
        OutputOptions(
            url=influxd1_auth.url, database=database, username=influxd1_auth.username, password_file=str(password)
        )
    )
    one.put(line(1))
    one.run(60)
    assert one.waiting() == 1
    assert "401" in one.sender.numbers.last_error
    assert "wrong" not in one.sender.numbers.last_error
    password.write_text(influxd1_auth.password + "\n")
    one.run(1.5)
    assert stored(influxd1_auth, database) == {"1"}


def test_a_wrong_token_loses_nothing_and_a_new_one_is_used_at_once(
    influxd2: Influxd2, way: MakeWay, tmp_path: Path
) -> None:
    bucket = influxd2.new_database()
    token = tmp_path / "token"
    token.write_text("wrong")
    one = way(OutputOptions(url=influxd2.url, org=influxd2.org, bucket=bucket, token_file=str(token)))
    one.put(line(1))
    one.run(60)
    assert one.waiting() == 1
    token.write_text(influxd2.new_token("write"))
    one.run(1.5)
    assert stored(influxd2, bucket) == {"1"}


# -------------------------------------------------------------------------------------------------------------- stub


HANGING: list[tuple[str, Reply]] = [("black hole", silence), ("slow header", drip), ("slow body", drip_body)]
PASSING: list[tuple[str, Reply]] = [
    ("500", answer("500 Internal Server Error", '{"error": "timeout"}')),
    ("502", answer("502 Bad Gateway", "<html>", {"Content-Type": "text/html"})),
    ("503", answer("503 Service Unavailable", headers={"Retry-After": "3"})),
    ("429", answer("429 Too Many Requests", headers={"Retry-After": "2"})),
    ("reset", reset),
    ("closed", raw(b"")),
    ("garbage", raw(b"SSH-2.0-OpenSSH_9.2p1\r\n")),
    ("cut header", raw(b"HTTP/1.1 204 No Con")),
    ("login page", answer("200 OK", "<html>sign in", {"Content-Type": "text/html"})),
    ("redirect", answer("302 Found", headers={"Location": "https://elsewhere.example/"})),
    ("another server", answer("204 No Content", headers={"X-Influxdb-Version": ""})),
    ("401", answer("401 Unauthorized", '{"error": "authorization failed"}')),
    ("403", answer("403 Forbidden", '{"error": "forbidden"}')),
    ("404", answer("404 Not Found", '{"error": "database not found"}')),
    ("wrong precision", answer("400 Bad Request", '{"error": "invalid precision: use n, u, ms, s, m or h"}')),
    ("opaque 400", answer("400 Bad Request", "what?")),
]


@pytest.mark.parametrize(("name", "reply"), PASSING, ids=[name for name, _ in PASSING])
def test_whatever_one_answer_says_nothing_is_lost(name: str, reply: Reply, way: MakeWay) -> None:
    with StubInflux(reply) as server:
        one = way(OutputOptions(url=server.url))
        one.put(line(1), line(2))
        one.run()
        one.close()
    assert set(server.stored) == {line(1), line(2)}
    assert one.dead() == {}
    assert one.sender.numbers.errors == 1


@pytest.mark.parametrize(("name", "reply"), HANGING, ids=[name for name, _ in HANGING])
def test_an_answer_that_never_ends_loses_nothing(name: str, reply: Reply, way: MakeWay) -> None:
    def hang(connection: socket.socket, closing: threading.Event) -> bool:
        threading.Timer(0.1, one.watchdog.cut).start()
        return reply(connection, closing)

    with StubInflux(hang) as server:
        one = way(OutputOptions(url=server.url))
        one.put(line(1), line(2))
        one.run()
        one.close()
    assert set(server.stored) == {line(1), line(2)}
    assert one.dead() == {}
    assert (one.sender.numbers.errors, one.sender.numbers.last_error) == (1, "no whole answer within the time")


def test_a_connection_that_breaks_in_mid_body_loses_nothing(way: MakeWay) -> None:
    with StubInflux() as server:
        server.cut_bodies = 2
        one = way(OutputOptions(url=server.url))
        one.put(*[line(n) for n in range(3000)])
        one.run()
    assert server.stored == [line(n) for n in range(3000)]


def test_a_server_that_is_not_there_yet_is_asked_again_and_then_known(way: MakeWay) -> None:
    with StubInflux() as server:
        server.ping = reset
        one = way(OutputOptions(url=server.url))
        one.put(line(1))
        one.run(10)
        assert server.writes == []
        server.ping = answer("204 No Content")
        one.run()
        assert (one.output.server, server.stored) == ("1.8.10", [line(1)])


def test_version_3_is_written_on_its_own_path_and_may_name_lines(way: MakeWay) -> None:
    """No server here speaks version 3: the answers are made from its source (docs/delivery.md)."""
    said = {
        "error": "partial write of line protocol occurred",
        "data": [{"original_line": line(2), "line_number": 2, "error_message": "invalid column type"}],
    }
    partial = answer("400 Bad Request", json.dumps(said), {"X-Influxdb-Version": ""})
    good = answer("204 No Content", headers={"X-Influxdb-Version": ""})
    ping = answer("200 OK", json.dumps({"version": "3.9.6", "revision": "x"}), {"X-Influxdb-Version": ""})
    with StubInflux(partial, good, ping=ping) as server:
        one = way(OutputOptions(url=server.url, database="d", org="ignored", token="t"))
        one.put(line(1), line(2), line(3))
        one.run()
        one.put(line(4))
        one.run()
    paths = {request.path for request in server.writes}
    assert paths == {"/api/v3/write_lp?db=d&precision=nanosecond&accept_partial=true"}
    assert one.dead() == {line(2): "invalid column type"}
    assert one.sender.numbers.written == 3


def test_a_server_that_is_replaced_by_another_version_is_asked_anew(way: MakeWay) -> None:
    other = {"X-Influxdb-Version": "2.7.12"}
    replaced = answer("204 No Content", headers=other)
    with StubInflux(answer("204 No Content"), replaced, replaced) as server:
        one = way(OutputOptions(url=server.url))
        seen = []
        for number in range(3):
            one.put(line(number))
            one.run()
            seen.append(one.output.server)
            server.ping = replaced
        assert seen == ["1.8.10", "", "2.7.12"]


def test_a_body_that_is_too_large_is_halved(way: MakeWay) -> None:
    too_large = answer("413 Request Entity Too Large", '{"error": "too large"}')
    with StubInflux(too_large, too_large) as server:
        one = way(OutputOptions(url=server.url))
        one.put(*[line(n) for n in range(100)])
        one.run()
    assert sorted(server.stored) == sorted(line(n) for n in range(100))
    assert max(len(request.lines) for request in server.writes[2:]) <= 50


@pytest.mark.parametrize("username", ["", "us"])
def test_a_server_that_quotes_the_secret_makes_nobody_show_it(way: MakeWay, tmp_path: Path, username: str) -> None:
    (tmp_path / "secret").write_text("hunter2")
    file = str(tmp_path / "secret")
    shown = "dXM6aHVudGVyMg==" if username else "hunter2"  # of us:hunter2
    with StubInflux(answer("403 Forbidden", f'{{"error": "bad header {shown} (hunter2)"}}')) as server:
        named = OutputOptions(url=server.url, username="us", password_file=file)
        one = way(named if username else OutputOptions(url=server.url, token_file=file))
        one.put(line(1))
        one.run(2)
    assert "bad header [redacted] ([redacted])" in one.sender.numbers.last_error


def test_a_secret_file_that_cannot_be_read_is_said_and_loses_nothing(way: MakeWay, tmp_path: Path) -> None:
    with StubInflux() as server:
        one = way(OutputOptions(url=server.url, token_file=str(tmp_path / "token")))
        one.put(line(1))
        one.run(40)
        assert "the secret cannot be read" in one.sender.numbers.last_error
        (tmp_path / "token").write_text("first line\nsecond line")
        one.run(2)
        assert "one line of printable ASCII" in one.sender.numbers.last_error
        assert "second" not in one.sender.numbers.last_error
        (tmp_path / "token").write_text("t")
        one.run(2)
        assert server.stored == [line(1)]
        assert server.writes[0].headers["authorization"] == "Token t"
