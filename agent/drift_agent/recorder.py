"""Points → lines → spool: where the machine's tags are put on, and nothing else is decided."""

import logging
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final, Protocol

from drift_agent.identity import Identity
from drift_agent.line_protocol import Encoder, LineError
from drift_agent.model import Lane, Point

LOG: Final = logging.getLogger("driftline.recorder")
MAX_HELD: Final = 20_000


class Put(Protocol):
    """`Spool.put`: lines by lane, and the log offsets they came from, in one transaction."""

    def __call__(
        self, lines_by_lane: Mapping[Lane, Sequence[str]], *, offsets: Mapping[str, bytes] | None = None
    ) -> bool: ...


class Recorder:
    """Encodes points with the machine's tags and puts them into the spool. Safe for several threads.

    Until `identify` was called points wait in memory, at most `MAX_HELD` of them (the oldest go first).
    """

    def __init__(self, put: Put, tags: Mapping[str, str]) -> None:
        self._put = put
        self._tags = dict(tags)
        self._lock = Lock()
        self._encoders: dict[Lane, Encoder] = {}
        self._held: list[tuple[Lane, Point]] = []

    def identify(self, identity: Identity) -> None:
        """From here on points leave, tagged as this machine's; those that waited go first."""
        machine = {"host": identity.host, "image": identity.image, "group": identity.group}
        with self._lock:
            self._encoders = {
                "drift": Encoder(machine),
                "logs": Encoder(machine, defaults=self._tags),
                "metrics": Encoder(machine, defaults=self._tags),
            }
            held, self._held = self._held, []
        for lane in dict.fromkeys(lane for lane, _ in held):
            self.record(lane, [point for held_lane, point in held if held_lane == lane])

    def record(self, lane: Lane, points: Sequence[Point], offsets: Mapping[str, bytes] | None = None) -> bool:
        """Puts `points` into the spool, with the log offsets that they came from in the same transaction.

        False where the offsets could not be stored, and so the points were not: what they came from must be read again.
        """
        with self._lock:
            encoder = self._encoders.get(lane)
            if encoder is None:
                self._held.extend((lane, point) for point in points)
                del self._held[:-MAX_HELD]
                return True
            lines = _encode(encoder, points)
        return not (lines or offsets) or self._put({lane: lines}, offsets=offsets)


def _encode(encoder: Encoder, points: Sequence[Point]) -> list[str]:
    lines = []
    for point in points:
        try:
            lines.append(encoder.line(point))
        except LineError as error:
            LOG.error("a point of %s was left out: %s", point.measurement, error)
    return lines


def drift_recorder(recorder: Recorder, notify: Callable[[Lane], None]) -> Callable[[Sequence[Point]], None]:
    """What the detector emits to: the drift lane, which leaves at once."""

    def emit(points: Sequence[Point]) -> None:
        recorder.record("drift", points)
        notify("drift")

    return emit
