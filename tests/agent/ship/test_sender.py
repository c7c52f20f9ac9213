"""What is sent next and what becomes of the answer, against a model of a server: any mixture of faults, no network."""

import json
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drift_agent.config import OutputOptions, SpoolOptions
from drift_agent.model import Lane
from drift_agent.ship.answers import (
    Acked,
    BadBody,
    Later,
    NamedLines,
    Outcome,
    Refused,
    SomeDropped,
    TooLarge,
)
from drift_agent.ship.dead_letter import DeadLetters
from drift_agent.ship.output import Sent
from drift_agent.ship.sender import Sender
from drift_agent.ship.spool import Spool
from fakes import FakeClock

Fault = Literal["opaque", "poison", "named", "named-stored", "dropped"]
URL = "http://influxdb.example:8086"


@dataclass
class ModelServer:
    """Stores lines as a server does, but for those that `faults` names, each with the answer that it provokes."""

    options: OutputOptions = field(default_factory=lambda: OutputOptions(url=URL))
    faults: dict[bytes, Fault] = field(default_factory=dict)
    max_bytes: int = 1 << 30
    stored: list[bytes] = field(default_factory=list)
    bodies: list[list[bytes]] = field(default_factory=list)
    answers: list[Outcome] = field(default_factory=list)
    """Given before anything else, one a request."""
    always: Outcome | None = None
    secret_is_new: bool = False

    def send(self, body: Sequence[bytes], lines: Callable[[], Sequence[bytes]]) -> Sent:
        got = b"".join(body).split(b"\n")[:-1]
        assert got == list(lines())
        self.bodies.append(got)
        self.secret_is_new = False
        if self.answers:
            return Sent(self.answers.pop(0))
        return Sent(self.always or self._answer(got, sum(map(len, body))))

    def secret_changed(self) -> bool:
        return self.secret_is_new

    def _answer(self, lines: list[bytes], size: int) -> Outcome:
        if size > self.max_bytes:
            return TooLarge("413")
        bad = {line: self.faults[line] for line in lines if line in self.faults}
        if "poison" in bad.values():
            return Later("500 it breaks", body_may_be_at_fault=True)
        if "opaque" in bad.values():
            return BadBody("400 bad request")
        if named := {line: "bad" for line, fault in bad.items() if fault == "named"}:
            return NamedLines(named, stored=False)
        self.stored += [line for line in lines if line not in bad]
        if named := {line: "bad" for line, fault in bad.items() if fault == "named-stored"}:
            rest = {line: "bad too" for line in bad if line not in named}
            return NamedLines({**named, **rest}, stored=True)
        if bad:
            return SomeDropped(len(bad), f"dropped={len(bad)}")
        return Acked()


class Bench:
    """A sender between a spool of its own and a model server."""

    def __init__(self, folder: Path, server: ModelServer, interval: float = 10.0, max_bytes: int = 256 << 20) -> None:
        self.clock = FakeClock()
        self.server = server
        self.folder = folder
        self.spool = Spool.open(folder / "spool.db", SpoolOptions(max_bytes=max_bytes), [server.options], self.clock)
        letters = DeadLetters(str(folder / "dead-letter.jsonl"))
        self.sender = Sender(
            self.spool, server, letters, self.clock, flush_interval=interval, flush_phase=0.0, rng=random.Random(1)
        )

    def put(self, lane: Lane, *lines: str) -> None:
        self.spool.put({lane: lines})
        self.clock.advance(0.001)

    def run(self, seconds: float = 600.0) -> None:
        """Steps until nothing waits, for at most `seconds` of the clock."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end and any(self.spool.stats().outputs.values()):
            self.clock.advance(self.sender.step())

    def dead(self) -> list[str]:
        path = self.folder / "dead-letter.jsonl"
        return [json.loads(text)["line"] for text in path.read_text().splitlines()] if path.exists() else []


def line(number: int, measurement: str = "m") -> str:
    return f"{measurement} v={number}i {number}"


def test_newest_first_within_a_lane_and_drift_before_all(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer())
    bench.put("metrics", *[line(n) for n in range(4000)])
    bench.put("metrics", *[line(n) for n in range(4000, 8000)])
    bench.put("logs", line(1, "log"))
    bench.put("drift", line(1, "drift"))
    bench.run()
    assert [body[0] for body in bench.server.bodies] == [b"drift v=1i 1", b"log v=1i 1", b"m v=4000i 4000", b"m v=0i 0"]


def test_drift_leaves_between_two_flushes_and_the_rest_waits(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer())
    bench.run()
    bench.clock.advance(bench.sender.step())
    bench.sender.step()
    bench.put("metrics", line(1))
    bench.put("drift", line(1, "drift"))
    bench.sender.drift_waits()
    assert bench.sender.step() == 0.0
    assert bench.server.bodies == [[b"drift v=1i 1"]]
    assert bench.sender.step() > 5.0


def test_a_flush_comes_at_the_same_phase_of_every_interval(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer())
    moments: list[int] = []
    for _ in range(5):
        bench.clock.advance(bench.sender.step())
        bench.put("metrics", line(len(moments)))
        before = len(bench.server.bodies)
        while len(bench.server.bodies) == before:
            bench.clock.advance(bench.sender.step())
        moments.append(bench.clock.time_ns() % 10_000_000_000)
        assert bench.sender.step() > 9.9  # nothing more waits
    assert len(set(moments)) == 1


def test_a_refusal_keeps_everything_and_is_tried_and_said_again_each_30_seconds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path, ModelServer(always=Refused("401 authorization failed")))
    bench.put("metrics", line(1))
    bench.run(301)
    assert 10 <= len(bench.server.bodies) <= 12
    assert len(caplog.records) == len(bench.server.bodies)
    assert "401 authorization failed" in caplog.text
    bench.server.always = None
    bench.run()
    assert bench.server.stored == [b"m v=1i 1"]


def test_a_changed_token_file_ends_the_wait_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer(answers=[Refused("401")]))
    bench.put("drift", line(1))
    assert bench.sender.step() == 1.0  # looks again soon
    assert bench.sender.step() == 1.0
    assert len(bench.server.bodies) == 1
    bench.server.secret_is_new = True
    bench.sender.step()
    assert bench.server.stored == [b"m v=1i 1"]


def test_what_the_server_asks_for_is_waited(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer(answers=[Later("503", retry_after=120.0)]))
    bench.put("drift", line(1))
    assert 120 < bench.sender.step() <= 121


def test_waits_grow_to_a_minute_with_full_jitter(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer(always=Later("connection refused")))
    bench.put("drift", line(1))
    waits = []
    for _ in range(200):
        waits.append(bench.sender.step())
        bench.clock.advance(waits[-1])
    assert waits[0] <= 1
    assert waits[1] <= 2
    assert max(waits) <= 60
    assert max(waits) > 50
    assert min(waits[10:]) < 10  # evenly spread, from nothing


def test_a_server_that_says_400_to_everything_condemns_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer(always=BadBody("400 no org")))
    bench.put("metrics", *[line(n) for n in range(3000)])
    bench.run(3600)
    assert bench.dead() == []
    assert len(bench.server.bodies) < 200  # and is not flooded either
    bench.server.always = None
    bench.run()
    assert len(set(bench.server.stored)) == 3000


def test_a_server_that_says_500_to_everything_condemns_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer(always=Later("500", body_may_be_at_fault=True)))
    for start in range(0, 3000, 100):
        bench.put("metrics", *[line(n) for n in range(start, start + 100)])
    bench.run(3600)
    assert bench.dead() == []
    bench.server.always = None
    bench.run()
    assert len(set(bench.server.stored)) == 3000


def test_a_body_that_is_too_large_is_split_and_later_ones_are_made_smaller(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer(max_bytes=2000))
    bench.put("metrics", *[line(n) for n in range(1000)])
    bench.run()
    assert sorted(bench.server.stored) == sorted(line(n).encode() for n in range(1000))
    before = len(bench.server.bodies)
    for start in range(1000, 2000, 50):
        bench.put("metrics", *[line(n) for n in range(start, start + 50)])
    bench.run()
    assert len(bench.server.bodies) - before < 60


def test_after_trouble_bodies_begin_small_and_grow(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer(answers=[Later("no answer in time")] * 6))
    for start in range(0, 100_000, 500):
        bench.put("metrics", *[line(n) for n in range(start, start + 500)])
    bench.run()
    sizes = [len(body) for body in bench.server.bodies]
    assert sizes[0] == 5000
    assert sizes[6] < 2000
    assert max(sizes[7:]) == 5000
    assert len(bench.server.stored) == 100_000


def test_old_data_is_held_to_the_backfill_rate_and_new_data_is_not(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer(options=OutputOptions(url=URL, backfill_rate=100)))
    for start in range(0, 20_000, 1000):
        bench.put("metrics", *[line(n) for n in range(start, start + 1000)])
    bench.clock.advance(3600)
    begin = bench.clock.monotonic()
    bench.run(3600)
    assert 100 <= bench.clock.monotonic() - begin <= 260
    assert len(bench.server.stored) == 20_000


def test_poison_goes_to_the_dead_letters_once_others_have_passed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer(faults={line(500).encode(): "poison"}))
    bench.put("metrics", *[line(n) for n in range(1000)])
    bench.run(3600)
    assert bench.dead() == []  # nothing else has passed: no evidence
    for n in range(1000, 1020):
        bench.put("metrics", line(n))
        bench.run(60)
    bench.run(3600)
    assert bench.dead() == [line(500)]
    assert set(bench.server.stored) == {line(n).encode() for n in range(1020)} - {line(500).encode()}


def test_after_an_hours_outage_all_is_stored_or_counted_as_dropped_and_now_comes_before_then(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ModelServer(always=Later("connection refused")), max_bytes=1 << 20)
    for second in range(0, 3600, 10):
        bench.put("metrics", *[line(second * 100 + n) for n in range(300)])
        bench.put("drift", line(second, "drift"))
        bench.run(10)
    bench.server.always = None
    before = len(bench.server.bodies)
    bench.run()
    dropped = bench.spool.stats().dropped["influxdb.example:8086"]
    assert len(bench.server.stored) + dropped == 360 * 301
    assert 20_000 < dropped < 360 * 301
    assert sum(text.startswith(b"drift") for text in bench.server.stored) == 360
    bodies = bench.server.bodies[before:]
    kinds = [body[0].startswith(b"drift") for body in bodies]
    assert kinds == sorted(kinds, reverse=True)
    assert line(3590 * 100 + 299).encode() in bodies[kinds.index(False)]
    assert not bench.dead()


FAULTS = st.dictionaries(
    st.integers(0, 299), st.sampled_from(("opaque", "poison", "named", "named-stored", "dropped")), max_size=12
)
TROUBLES = st.lists(
    st.sampled_from((Later("reset"), Later("503", 3.0), Refused("404"), Later("500", body_may_be_at_fault=True))),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(faults=FAULTS, troubles=TROUBLES, sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_whatever_goes_wrong_exactly_the_bad_lines_are_lost(
    faults: dict[int, Fault], troubles: list[Outcome], sizes: list[int]
) -> None:
    """Any mixture of faults and outages: every good line is stored, every bad one is in the dead letters."""
    with tempfile.TemporaryDirectory() as folder:
        server = ModelServer(faults={line(n).encode(): fault for n, fault in faults.items()}, answers=list(troubles))
        bench = Bench(Path(folder), server)
        total = 0
        for size in sizes:
            bench.put("metrics", *[line(n) for n in range(total, total + size)])
            total += size
            bench.run(15)
        for n in range(1000, 1100):  # the agent goes on making points
            if not any(bench.spool.stats().outputs.values()):
                break
            bench.put("metrics", line(n))
            bench.run(60)
        bad = {line(n).encode() for n in faults if n < total}
        assert {text.encode() for text in bench.dead()} == bad
        assert {line(n).encode() for n in range(total)} - bad <= set(server.stored)
        assert not set(server.stored) & bad
        bench.spool.close()
