"""A burst at once, then one in ten seconds."""

from drift_agent.drift.bucket import TokenBucket
from fakes import FakeClock


def test_ten_at_once_then_one_in_ten_seconds() -> None:
    clock = FakeClock()
    bucket = TokenBucket(clock.monotonic)
    assert [bucket.take() for _ in range(11)] == [True] * 10 + [False]
    assert bucket.ready_in() == 10.0
    clock.advance(9.9)
    assert not bucket.take()
    clock.advance(0.1)
    assert bucket.take()
    assert not bucket.take()


def test_it_never_holds_more_than_the_burst() -> None:
    clock = FakeClock()
    bucket = TokenBucket(clock.monotonic)
    clock.advance(3600.0)
    assert sum(bucket.take() for _ in range(20)) == 10


def test_small_refills_add_up_to_whole_tokens() -> None:
    clock = FakeClock()
    bucket = TokenBucket(clock.monotonic, burst=1, refill=10.0)
    bucket.take()
    for _ in range(1000):
        clock.advance(0.01)
        bucket.ready_in()
    assert bucket.take()
