"""When to try again. Pure but for its source of chance."""

import random
from typing import Final

FIRST_SECONDS: Final = 1.0
LAST_SECONDS: Final = 60.0
REFUSED_SECONDS: Final = 30.0


def backoff(failures: int, retry_after: float, rng: random.Random) -> float:
    """Seconds to wait after the `failures`-th failure in a row (1 is the first).

    Full jitter: evenly spread between nothing and a ceiling that doubles from 1 s to 1 min, so that a fleet that was
    cut off together does not come back together. What the server asked for comes on top.
    """
    ceiling = min(LAST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 10))
    return retry_after + max(0.1, rng.uniform(0.0, ceiling))
