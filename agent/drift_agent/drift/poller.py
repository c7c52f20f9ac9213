"""Something that may take long, asked again and again in a thread of its own; its answers wait to be taken."""

from collections import deque
from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

from drift_agent.clock import Clock

T = TypeVar("T")


class Poller(Generic[T]):
    """Calls `look(stop)` at once and then every `interval` seconds, and `wake` after each. `look` must heed `stop`."""

    def __init__(
        self, name: str, look: Callable[[Event], T], interval: float, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._look = look
        self._interval = interval
        self._clock = clock
        self._wake = wake
        self._stop = Event()
        self._answers: deque[T] = deque()
        self._failed = False
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def take(self) -> list[T]:
        """The answers since the last time, oldest first.

        Raises:
            RuntimeError: `look` raised; its traceback went to stderr.
        """
        if self._failed:
            raise RuntimeError(f"{self._thread.name} has failed")
        taken = []
        while self._answers:
            taken.append(self._answers.popleft())
        return taken

    def stop(self) -> None:
        """Ends the thread before it returns."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        finished = False
        try:
            while not self._stop.is_set():
                self._answers.append(self._look(self._stop))
                self._wake()
                self._clock.wait(self._stop, self._interval)
            finished = True
        finally:
            self._failed = not finished
