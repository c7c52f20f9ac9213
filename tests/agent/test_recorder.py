"""Points → lines → spool."""

import math
from collections.abc import Mapping, Sequence

import pytest

from drift_agent.identity import Identity
from drift_agent.line_protocol import parse
from drift_agent.model import Lane, Point
from drift_agent.recorder import MAX_HELD, Recorder

ME = Identity(instance="i-1", host="web-1", image="web@42", group="front", boot_id="b")


class Taken:
    """What was put into a spool."""

    def __init__(self) -> None:
        self.puts: list[tuple[dict[Lane, list[str]], Mapping[str, bytes] | None]] = []

    def __call__(
        self, lines_by_lane: Mapping[Lane, Sequence[str]], *, offsets: Mapping[str, bytes] | None = None
    ) -> bool:
        self.puts.append(({lane: list(lines) for lane, lines in lines_by_lane.items()}, offsets))
        return True


def sample(number: int = 0) -> Point:
    return Point("mem", {}, {"used": number}, number)


def test_nothing_leaves_before_we_know_who_we_are_and_then_all_of_it() -> None:
    taken = Taken()
    recorder = Recorder(taken, {"zone": "a"})
    recorder.record("metrics", [sample(1)])
    recorder.record("drift", [sample(2)])
    assert not taken.puts
    recorder.identify(ME)
    assert taken.puts == [
        ({"metrics": ["mem,group=front,host=web-1,image=web@42,zone=a used=1i 1"]}, None),
        ({"drift": ["mem,group=front,host=web-1,image=web@42 used=2i 2"]}, None),
    ]


def test_configured_tags_take_no_place_of_a_metrics_own() -> None:
    taken = Taken()
    recorder = Recorder(taken, {"name": "web"})
    recorder.identify(ME)
    recorder.record("metrics", [Point("diskio", {"name": disk}, {"reads": 1}, 1) for disk in ("sda", "sdb")])
    ((lines, _),) = taken.puts
    assert [parse(line).tags["name"] for line in lines["metrics"]] == ["sda", "sdb"]


def test_what_waits_is_bounded_and_the_oldest_goes_first() -> None:
    taken = Taken()
    recorder = Recorder(taken, {})
    recorder.record("metrics", [sample(number) for number in range(MAX_HELD + 5)])
    recorder.identify(ME)
    ((lines, _),) = taken.puts
    times = [parse(line).time for line in lines["metrics"]]
    assert times == list(range(5, MAX_HELD + 5))


def test_offsets_go_with_the_lines_that_came_from_them() -> None:
    taken = Taken()
    recorder = Recorder(taken, {})
    recorder.identify(ME)
    recorder.record("logs", [sample(1)], {"access.log": b"17"})
    ((lines, offsets),) = taken.puts
    assert len(lines["logs"]) == 1
    assert offsets == {"access.log": b"17"}


def test_offsets_are_kept_where_no_line_came_from_them() -> None:
    taken = Taken()
    recorder = Recorder(taken, {})
    recorder.identify(ME)
    recorder.record("logs", [], {"access.log": b"18"})
    recorder.record("logs", [])
    assert taken.puts == [({"logs": []}, {"access.log": b"18"})]


def test_a_point_that_no_engine_stores_is_left_out_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    taken = Taken()
    recorder = Recorder(taken, {})
    recorder.identify(ME)
    recorder.record("metrics", [Point("mem", {}, {"used": math.nan}, 1), sample(2)])
    assert len(taken.puts[0][0]["metrics"]) == 1
    assert "mem" in caplog.text
