"""The watchdog of exchanges."""

import threading
import time

from drift_agent.ship.deadline import Watchdog
from waiting import PATIENCE


def test_what_is_over_its_time_is_cut_and_what_was_disarmed_is_not() -> None:
    watchdog, cut = Watchdog(), threading.Event()
    watchdog.arm(lambda _: None, time.monotonic() + 10 * PATIENCE)
    watchdog.disarm()
    watchdog.arm(lambda _: cut.set(), time.monotonic() + 0.05)
    assert cut.wait(PATIENCE)
    watchdog.disarm()
    watchdog.end()


def test_threads_have_deadlines_of_their_own() -> None:
    watchdog, cuts = Watchdog(), [threading.Event() for _ in range(3)]

    def exchange(number: int) -> None:
        watchdog.arm(lambda _: cuts[number].set(), time.monotonic() + (0.05 if number else 10 * PATIENCE))
        for cut in cuts[1:] if number == 0 else (cuts[number],):
            cut.wait(PATIENCE)
        watchdog.disarm()

    threads = [threading.Thread(target=exchange, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    watchdog.end()
    assert [cut.is_set() for cut in cuts] == [False, True, True]
