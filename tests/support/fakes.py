"""Stand-ins for what a test must control: time."""

from threading import Event


class FakeClock:
    """A clock that moves only when it is told to, or when somebody waits on it."""

    def __init__(self, time_ns: int = 1_700_000_000_000_000_000) -> None:
        self.now_ns = time_ns
        self.mono = 1000.0

    def time_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.mono

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)
        self.mono += seconds

    def wait(self, event: Event, seconds: float) -> bool:
        if event.is_set():
            return True
        self.advance(max(0.0, seconds))
        return event.is_set()
