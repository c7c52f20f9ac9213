"""How the work for an input grows with its size, whatever else the machine does."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

RUNS: Final = 5
FLOOR_SECONDS: Final = 1e-4
"""What takes less says nothing by its ratio."""

LINEAR: Final = 9.0
"""Between 4, which is linear, and 16, which is quadratic: a bound for `growth`."""


def growth(make: Callable[[int], T], work: Callable[[T], object], size: int) -> float:
    """How many times the CPU time of this thread that an input of `size` takes one takes that is four times as large.

    Of several runs the shortest counts: what else the machine does only makes them longer.
    """
    inputs = make(size), make(4 * size)
    shortest = [float("inf"), float("inf")]
    for _ in range(RUNS):
        for number, each in enumerate(inputs):
            began = time.thread_time()
            work(each)
            shortest[number] = min(shortest[number], time.thread_time() - began)
    return max(shortest[1], FLOOR_SECONDS) / max(shortest[0], FLOOR_SECONDS)
