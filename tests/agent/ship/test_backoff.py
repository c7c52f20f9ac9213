"""When to try again."""

import random

from hypothesis import given
from hypothesis import strategies as st

from drift_agent.ship.backoff import backoff


@given(failures=st.integers(1, 10_000), after=st.floats(0, 3600), seed=st.integers())
def test_a_wait_is_what_was_asked_for_and_jitter_of_at_most_a_minute(failures: int, after: float, seed: int) -> None:
    seconds = backoff(failures, after, random.Random(seed))
    assert after + 0.1 <= seconds <= after + 60.0


def test_the_ceiling_doubles_from_a_second() -> None:
    ceilings = [max(backoff(failures, 0.0, random.Random(seed)) for seed in range(300)) for failures in range(1, 9)]
    assert all(0.9 * 2**n < ceiling <= 2**n for n, ceiling in enumerate(ceilings[:6]))
    assert 50 < ceilings[7] <= 60
