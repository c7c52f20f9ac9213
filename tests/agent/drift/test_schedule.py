"""When a detector scans: at once, in time, soon after a hint was lost, and never without rest."""

import pytest

from drift_agent.config import ImageOptions
from drift_agent.drift.schedule import LEAST_PAUSE_SECONDS, PAUSE_FACTOR, RETRY_SECONDS, RUNTIME_SECONDS, Schedule

OPTIONS = ImageOptions(scan_interval=900.0, rehash_interval=2000.0)


@pytest.fixture
def schedule() -> Schedule:
    """At 100 s it was made, and its first scan began; that took 5 s."""
    schedule = Schedule(OPTIONS, 100.0)
    assert schedule.scan_in(100.0) == 0.0
    assert schedule.scan_begins(100.0), "the first scan believes nothing"
    schedule.scan_ended(105.0, 5.0)
    return schedule


def test_scans_come_an_interval_apart_from_beginning_to_beginning(schedule: Schedule) -> None:
    assert schedule.scan_in(105.0) == 895.0
    assert schedule.scan_in(1001.0) == -1.0


def test_every_content_is_read_again_once_in_the_longer_interval(schedule: Schedule) -> None:
    assert [schedule.scan_begins(at) for at in (1000.0, 1900.0, 2800.0, 3700.0, 4600.0)] == [
        False, False, True, False, False,
    ]  # fmt: skip


def test_a_scan_that_came_to_nothing_is_tried_again_soon_and_owes_what_it_was_to_read(schedule: Schedule) -> None:
    assert schedule.scan_begins(2200.0)
    schedule.scan_failed(2210.0)
    assert schedule.scan_in(2210.0) == RETRY_SECONDS
    assert not schedule.has_rested(2210.0 + RETRY_SECONDS - 1.0)
    assert schedule.scan_begins(2270.0)
    schedule.scan_ended(2280.0, 10.0)
    assert not schedule.scan_begins(3170.0)


def test_a_rescan_comes_at_once_but_not_before_the_last_one_has_had_its_rest(schedule: Schedule) -> None:
    schedule.rescan(106.0)
    assert schedule.scan_in(106.0) == 105.0 + PAUSE_FACTOR * 5.0 - 106.0
    schedule.rescan(500.0)
    assert schedule.scan_in(500.0) <= 0.0
    schedule.scan_begins(500.0)
    schedule.scan_ended(500.0, 0.01)
    schedule.rescan(500.0)
    assert schedule.scan_in(500.0) == LEAST_PAUSE_SECONDS


def test_a_rescan_that_is_asked_for_while_one_runs_has_its_rest_before_too(schedule: Schedule) -> None:
    schedule.scan_begins(500.0)
    schedule.rescan(505.0)
    assert schedule.scan_in(505.0) == 895.0
    schedule.scan_ended(510.0, 10.0)
    assert schedule.scan_in(510.0) == PAUSE_FACTOR * 10.0
    assert [schedule.has_rested(at) for at in (549.9, 550.0)] == [False, True]
    schedule.scan_begins(550.0)
    schedule.scan_ended(560.0, 10.0)
    assert schedule.scan_in(560.0) == 890.0, "it was asked for once"


def test_what_runs_is_looked_at_by_every_scan_and_each_minute_between(schedule: Schedule) -> None:
    assert not schedule.runtime_is_due(105.0)
    assert schedule.runtime_is_due(105.0 + RUNTIME_SECONDS)
    schedule.looked_at_runtime(200.0)
    assert not schedule.runtime_is_due(200.0 + RUNTIME_SECONDS - 1.0)
