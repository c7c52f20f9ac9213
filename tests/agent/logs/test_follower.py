"""All sections together: points and offsets in one batch, given again until it is kept."""

import random
import re
import textwrap
from collections import Counter
from pathlib import Path

import pytest

import rotation
from drift_agent.config import LogOptions
from drift_agent.config_file import load
from drift_agent.errors import ConfigError
from drift_agent.logs.follower import Batch, Follower
from drift_agent.model import Point
from fakes import FakeClock

LINE = '10.0.0.1 - - [23/Nov/2026:05:01:29 +0000] "{} /x HTTP/1.1" {} 10 "-" "-"\n'


class Kept:
    """What a spool would hold: the points and the offsets of every batch that was put into it."""

    def __init__(self, options: list[LogOptions]) -> None:
        self.options = options
        self.clock = FakeClock()
        self.points: list[Point] = []
        self.offsets: dict[str, bytes] = {}
        self.follower = Follower(options, {}, self.clock)

    def poll(self) -> Batch:
        self.clock.advance(1.0)
        return self.follower.poll(self.clock.now_ns)

    def put(self) -> None:
        more = True
        while more:
            batch = self.poll()
            self.points += batch.points
            self.offsets |= batch.offsets
            self.follower.confirm()
            more = batch.more

    def kill(self) -> None:
        """kill -9, and a new process."""
        self.follower.close()
        self.follower = Follower(self.options, self.offsets, self.clock)

    def of(self, measurement: str) -> list[Point]:
        return [point for point in self.points if point.measurement == measurement]


def test_a_batch_is_given_again_until_it_is_confirmed_and_nothing_is_read_meanwhile(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text('{"a": 1}\n')
    kept = Kept([LogOptions(path=str(log), format="json")])
    batch = kept.poll()
    assert [point.measurement for point in batch.points] == ["app", "internal_logs"]
    assert batch.offsets
    with log.open("a") as file:
        file.write('{"a": 2}\n')
    assert kept.poll() is batch
    kept.follower.confirm()
    assert kept.poll().points[0].fields == {"a": 2.0}


def test_counts_are_those_of_an_interval_and_what_a_kill_took_of_it_is_read_again(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    options = [LogOptions(path=str(log), format="nginx-combined")]
    clock = FakeClock()
    follower = Follower(options, {}, clock, interval=10)
    first = follower.poll(clock.now_ns)
    follower.confirm()
    for _ in range(9):
        clock.advance(1)
        with log.open("a") as file:
            file.write(LINE.format("GET", 200))
        assert follower.poll(clock.now_ns) == Batch()
    follower.close()
    follower = Follower(options, first.offsets, clock, interval=10)
    assert follower.poll(clock.now_ns).points[0].fields["requests"] == 9
    follower.confirm()
    with log.open("a") as file:
        file.write(LINE.format("GET", 200))
    assert follower.poll(clock.now_ns) == Batch()
    assert follower.poll(clock.now_ns, flush=True).points[0].fields["requests"] == 1


def test_where_nothing_came_nothing_is_put() -> None:
    kept = Kept([LogOptions(path="/nowhere/*.log", format="json")])
    kept.put()
    batch = kept.poll()
    assert (batch.points, batch.offsets, batch.more) == ([], {}, False)


@pytest.mark.parametrize("kind", ["rename", "copytruncate", "gzip", "copytruncate-gzip"])
@pytest.mark.parametrize("seed", range(3))
def test_counts_are_exact_through_rotations_and_kills(tmp_path: Path, kind: str, seed: int) -> None:
    """Whenever the agent is killed, before or after a batch is kept: each request counts once."""
    chance = random.Random(seed)
    made: Counter[tuple[str, str]] = Counter()
    writer = rotation.Writer(tmp_path / "access.log")
    kept = Kept([LogOptions(path=str(tmp_path / "access.log*"), format="nginx-combined", name="web")])

    def traffic() -> None:
        for _ in range(chance.randrange(1, 60)):
            verb, status = chance.choice(["GET", "POST", "BREW"]), chance.choice([200, 301, 404, 502])
            made[verb if verb != "BREW" else "OTHER", f"{status // 100}xx"] += 1
            writer.path.open("a").write(LINE.format(verb, status))
        if chance.random() < 0.6:
            kept.put()
        elif chance.random() < 0.5:
            kept.poll()
            kept.kill()

    kept.put()
    for _ in range(12):
        traffic()
        for _ in rotation.KINDS[kind](writer):
            traffic()
        kept.put()
    writer.close()
    kept.put()
    counted: Counter[tuple[str, str]] = Counter()
    for point in kept.of("access"):
        counted[point.tags["verb"], point.tags["status"]] += int(point.fields["requests"])
    assert counted == made
    stamps = [(point.tags["verb"], point.tags["status"], point.time) for point in kept.of("access")]
    assert len(stamps) == len(set(stamps))


def test_no_two_points_of_a_series_share_a_time_across_files_sections_and_restarts(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text('{"ts": "2026-11-23T05:01:29Z", "v": 1}\n{"v": 2}\n' * 50)
        (tmp_path / f"{name}.err").write_text(
            "2026/11/23 05:01:29 [error] 1#1: *1 no\n2026/11/23 05:01:29 [error] 1#1: x\n"
        )
    options = [
        LogOptions(path=str(tmp_path / "a.json"), format="json", name="app", time_key="ts"),
        LogOptions(path=str(tmp_path / "b.json"), format="json", name="app", time_key="ts"),
        LogOptions(path=str(tmp_path / "*.err"), format="nginx-error", name="web"),
    ]
    kept = Kept(options)
    kept.put()
    kept.clock.now_ns -= 5_000_000_000  # the clock steps back while the agent restarts
    kept.kill()
    for name in ("a", "b"):
        with (tmp_path / f"{name}.json").open("a") as file:
            file.write('{"ts": "2026-11-23T05:01:29Z", "v": 1}\n{"v": 2}\n' * 50)
    kept.put()
    assert len(kept.of("app")) == 400
    for measurement in ("app", "syslog", "log_lines", "internal_logs"):
        stamps = [(tuple(point.tags.items()), point.time) for point in kept.of(measurement)]
        assert len(stamps) == len(set(stamps)), measurement


def test_sections_of_one_name_give_a_field_one_type(tmp_path: Path) -> None:
    for name, value in (("a", "7"), ("b", '"seven"')):
        (tmp_path / f"{name}.log").write_text(f'{{"took": {value}, "at": "{name}"}}\n')
    kept = Kept([LogOptions(path=str(tmp_path / f"{name}.log"), format="json", name="app") for name in "ab"])
    kept.put()
    assert [point.fields for point in kept.of("app")] == [{"took": 7.0, "at": "a"}, {"at": "b"}]


def test_the_type_of_a_field_survives_a_restart(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text('{"a": "text"}\n')
    kept = Kept([LogOptions(path=str(log), format="json")])
    kept.put()
    kept.kill()
    with log.open("a") as file:
        file.write('{"a": 5}\n')
    kept.put()
    assert [point.fields["a"] for point in kept.of("app")] == ["text", "5.0"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (LogOptions(path="x", format="ngnix"), r"logs\[0\].format = 'ngnix' is none of"),
        (LogOptions(path="x", format="$foo"), r"logs\[0\].format must hold \$status"),
        (LogOptions(path="x", format="regex"), r"logs\[0\].pattern must hold named groups"),
        (LogOptions(path="x", format="regex", pattern="("), r"logs\[0\].pattern: not a regular expression"),
        (LogOptions(path="x", multiline_start="("), r"logs\[0\].multiline_start: not a regular"),
        (LogOptions(path="x", format="apache-common", routes={"a": "["}), r"logs\[0\].routes: not a regular"),
        (LogOptions(path="x", severities=("loud",)), r"logs\[0\].severities: 'loud' is no severity"),
        (LogOptions(path="x", format="json", tags=("time",)), r"logs\[0\].tags: 'time' cannot"),
        (LogOptions(path="x", format="json", tags=("host",)), r"logs\[0\].tags: 'host' cannot"),
        (LogOptions(path="x", routes={"a": "/"}), r"routes says nothing to format = 'syslog': it is for access logs"),
        (LogOptions(path="x", format="json", severities=("err",)), r"severities says nothing to format = 'json'"),
        (
            LogOptions(path="x", format="$status", pattern="x"),
            r"pattern says nothing to .*: it is for regex and messages",
        ),
        (LogOptions(journal=True, tags=("a",)), r"tags says nothing to the journal: it is for json and regex"),
        (LogOptions(journal=True, multiline_start="x"), r"multiline_start says nothing to the journal"),
    ],
)
def test_a_mistake_in_a_section_names_it(options: LogOptions, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Follower([options], {}, FakeClock())


def test_the_sections_that_the_documentation_shows_can_be_followed(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/logs.md").read_text()
    blocks = re.findall(r"(?:^    .*\n|^\n)+", page, re.MULTILINE)
    shown = [textwrap.dedent(block) for block in blocks if "[[logs]]" in block]
    (tmp_path / "agent.toml").write_text("\n".join(shown))
    options = load(str(tmp_path / "agent.toml"), {}).logs
    assert len(options) >= 5
    Follower(options, {}, FakeClock()).close()
