"""The senders' threads: started, woken, ended in time."""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, Final

from drift_agent.clock import Clock
from drift_agent.config import OutputOptions
from drift_agent.model import Lane
from drift_agent.ship.dead_letter import DeadLetters
from drift_agent.ship.deadline import Watchdog
from drift_agent.ship.http import HttpClient
from drift_agent.ship.output import Output
from drift_agent.ship.sender import Sender
from drift_agent.ship.spool import Spool, SpoolStats

LOG: Final = logging.getLogger("driftline.ship")
DEAD_LETTERS: Final = "dead-letter.jsonl"
_LAST_TRY_SECONDS: Final = 0.5


@dataclass(slots=True)
class _Worker:
    output: Output
    sender: Sender
    wake: Event = field(default_factory=Event)
    drift: Event = field(default_factory=Event)
    thread: Thread | None = None


class Shipping:
    """Sends what is in the spool to every output, each in a thread of its own: none holds up another.

    Drift leaves as soon as `notify("drift")` is called, the rest at each flush, whose phase is a hash of `phase_seed`
    (the instance), so that a fleet does not beat in step. Lines that a server condemns go to `dead-letter.jsonl` beside
    the spool.
    """

    def __init__(
        self,
        spool: Spool,
        outputs: Sequence[OutputOptions],
        flush_interval: float,
        phase_seed: str,
        clock: Clock,
        failed: Callable[[], None] | None = None,
    ) -> None:
        """`failed` is called where a sender's thread ends by a fault of ours, which nothing else would show."""
        self._spool = spool
        self._clock = clock
        self._watchdog = Watchdog()
        self._ends_at: float | None = None
        self._failed = failed
        letters = DeadLetters(os.path.join(os.path.dirname(spool.path), DEAD_LETTERS))
        self._workers = []
        for options in outputs:
            output = Output(options, HttpClient(options, self._watchdog), clock)
            sender = Sender(
                spool,
                output,
                letters,
                clock,
                flush_interval=flush_interval,
                flush_phase=phase(phase_seed, flush_interval),
            )
            self._workers.append(_Worker(output, sender))

    def start(self) -> None:
        """Starts sending; returns at once, whether servers are up or not."""
        for worker in self._workers:
            name = f"ship-{worker.output.options.label}"
            worker.thread = Thread(target=self._run, args=(worker,), name=name, daemon=True)
            worker.thread.start()

    def notify(self, lane: Lane) -> None:
        """Something was put into `lane`. Drift leaves at once; the other lanes wait for the flush."""
        if lane == "drift":
            for worker in self._workers:
                worker.drift.set()
                worker.wake.set()

    def stop(self, deadline_seconds: float) -> bool:
        """Sends what waits, for at most `deadline_seconds`, then ends every thread; whether nothing waits any more.

        An output that was failing before gets one attempt more, one that was well as many as the time allows.
        What is not sent stays in the spool.
        """
        self._ends_at = time.monotonic() + deadline_seconds
        for worker in self._workers:
            worker.wake.set()
        for worker in self._workers:
            if worker.thread is not None:
                worker.thread.join(max(0.0, self._ends_at - time.monotonic()))
        for worker in self._workers:
            worker.output.abort()
        for worker in self._workers:
            if worker.thread is not None:
                worker.thread.join(1.0)
            worker.output.close()
        self._watchdog.end()
        return not any(lanes for lanes in self._spool.stats().outputs.values())

    def clock_offset(self) -> float:
        """A server's clock minus ours (s), by its Date header; of the first output that takes drift. 0.0 if unknown."""
        for worker in self._workers:
            if "drift" in worker.output.options.lanes:
                return worker.output.clock_offset
        return 0.0

    def status(self) -> dict[str, Any]:
        """What `drift-agent status` shows, as JSON values. Times are Unix ns, None for never."""
        stats = self._spool.stats()
        lanes = {
            lane: {"points": waiting.points, "bytes": waiting.bytes, "oldest": waiting.oldest or None}
            for lane, waiting in stats.lanes.items()
        }
        return {
            "spool": {
                "lanes": lanes,
                "max_bytes": stats.max_bytes,
                "writable": stats.writable,
                "damaged": list(stats.damaged),
            },
            "outputs": [_output_status(worker, stats) for worker in self._workers],
        }

    def _run(self, worker: _Worker) -> None:
        finished = False
        try:
            self._send(worker)
            finished = True
        finally:  # the traceback goes to stderr by threading's own hook
            if not finished and self._failed is not None:
                self._failed()

    def _send(self, worker: _Worker) -> None:
        sender = worker.sender
        while self._ends_at is None:
            worker.wake.clear()
            if worker.drift.is_set():
                worker.drift.clear()
                sender.drift_waits()
            seconds = sender.step()
            if seconds > 0 and self._ends_at is None:
                self._clock.wait(worker.wake, seconds)
        self._drain(sender)

    def _drain(self, sender: Sender) -> None:
        was_failing = sender.failing
        sender.flush_now()
        while self._ends_at is not None and time.monotonic() < self._ends_at:
            seconds = sender.step()
            if sender.failing:
                if was_failing:
                    return
                time.sleep(min(_LAST_TRY_SECONDS, max(0.0, self._ends_at - time.monotonic())))
                sender.flush_now()
            elif seconds > 0:
                return


def _output_status(worker: _Worker, stats: SpoolStats) -> dict[str, Any]:
    options, numbers = worker.output.options, worker.sender.numbers
    return {
        "name": options.label,
        "url": options.url,
        "server": worker.output.server or None,
        "lanes": list(options.lanes),
        "waiting": {lane: waiting.points for lane, waiting in stats.outputs[options.label].items()},
        "written": numbers.written,
        "dropped": stats.dropped[options.label],
        "rejected": numbers.rejected,
        "errors": numbers.errors,
        "write_ns": numbers.write_ns,
        "last_ack": numbers.last_ack or None,
        "last_error": numbers.last_error or None,
        "last_error_at": numbers.last_error_at or None,
        "retry_at": numbers.retry_at or None,
    }


def phase(seed: str, interval: float) -> float:
    """Where in the flush interval an instance sends (s): evenly spread over a fleet, the same after a restart."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    return interval * (number / 2**64)
