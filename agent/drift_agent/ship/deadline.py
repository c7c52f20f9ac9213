"""Cuts exchanges that take too long: one sleeping thread for all outputs."""

import time
from collections.abc import Callable
from threading import Condition, Thread, get_ident
from typing import Final

_CUT: Final = "no whole answer within the time"


class Watchdog:
    """Calls `cut(why)` of an armed exchange once its time is over. Each thread arms one exchange at a time.

    Its own thread wakes at most once for each deadline that it slept towards, not for each exchange.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._armed: dict[int, tuple[float, Callable[[str], None]]] = {}
        self._wakes_at = float("inf")
        self._thread: Thread | None = None
        self._ended = False

    def arm(self, cut: Callable[[str], None], deadline: float) -> None:
        """`deadline` is in `time.monotonic()`; `disarm` must follow."""
        with self._changed:
            self._armed[get_ident()] = (deadline, cut)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="ship-deadline", daemon=True)
                self._thread.start()
            elif deadline < self._wakes_at:
                self._changed.notify()

    def disarm(self) -> None:
        """The exchange of this thread is over."""
        with self._changed:
            self._armed.pop(get_ident(), None)

    def end(self) -> None:
        """Ends the thread; nothing is cut any more."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._ended:
                now = time.monotonic()
                for thread, (deadline, cut) in list(self._armed.items()):
                    if deadline <= now:
                        del self._armed[thread]
                        cut(_CUT)
                self._wakes_at = min((deadline for deadline, _ in self._armed.values()), default=float("inf"))
                self._changed.wait(None if self._wakes_at == float("inf") else self._wakes_at - now)
