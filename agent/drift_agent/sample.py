"""The agent's work done once, for people who try it: one sample printed, or one look and one sample sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Final

from drift_agent.agent import identify, make_detector
from drift_agent.clock import Clock
from drift_agent.config import Config
from drift_agent.errors import EXIT_FAILED, EXIT_HOLD, EXIT_OK, EXIT_RECYCLE, ConfigError
from drift_agent.line_protocol import Encoder
from drift_agent.metrics.runner import Runner
from drift_agent.model import Point, State
from drift_agent.recorder import Recorder
from drift_agent.ship.shipper import Shipping
from drift_agent.ship.spool import Spool
from drift_agent.state_dir import StateDir

RATE_SECONDS: Final = 1.0
"""Between the two samples that rates are made from."""

SEND_SECONDS: Final = 30.0

_EXIT_CODES: Final[dict[State, int]] = {"clean": EXIT_OK, "drifted": EXIT_RECYCLE, "tainted": EXIT_RECYCLE}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `once` came to: a sentence, and the exit code (the verdict's, or 1 where it could not be sent)."""

    text: str
    exit_code: int


def sample_lines(config: Config, clock: Clock) -> Iterator[str]:
    """The lines of one sample of every enabled metric, rates included, as they would leave this machine."""
    identity = identify(config, clock)
    runner = Runner(config.metrics, config.agent.interval, clock)
    encoder = Encoder({**config.agent.tags, "host": identity.host, "image": identity.image, "group": identity.group})
    try:
        for point in _sample_twice(runner, clock):
            yield encoder.line(point)
    finally:
        runner.close()


def _sample_twice(runner: Runner, clock: Clock) -> list[Point]:
    """The second of two samples: the first is what its rates are measured from."""
    runner.gather(clock.time_ns(), clock.monotonic(), everything=True)
    clock.wait(Event(), RATE_SECONDS)
    return runner.gather(clock.time_ns(), clock.monotonic(), everything=True)


def run_once(config: Config, clock: Clock) -> Outcome:
    """One complete look and one sample, through the spool to every output.

    Raises:
        ConfigError: there is no output, or the state folder cannot be used.
        LockHeldError: an agent runs on this state folder; ask it (`status`).
    """
    if not config.outputs:
        raise ConfigError(f"{config.source}: has no [[outputs]]; add one with a url")
    with StateDir(config.agent.state_dir) as state:
        spool = Spool.open(str(state.path / "spool.db"), config.spool, config.outputs, clock)
        runner = Runner(config.metrics, config.agent.interval, clock)
        try:
            identity = identify(config, clock)
            letters = str(state.path / "dead-letter.jsonl")
            shipping = Shipping(spool, config.outputs, config.agent.interval, identity.instance, clock, letters)
            recorder = Recorder(spool.put, config.agent.tags)
            recorder.identify(identity)
            recorder.record("metrics", _sample_twice(runner, clock))
            detector = make_detector(config, identity, state.path, clock, recorder, shipping)
            found = detector.once()
            detector.close()
            shipping.start()
            sent = shipping.stop(SEND_SECONDS)
        finally:
            runner.close()
            spool.close()
    if not sent:
        return Outcome(f"{found}, but not everything could be sent: it stays in the spool of {state.path}", EXIT_FAILED)
    return Outcome(
        f"{found}: sent to {', '.join(output.label for output in config.outputs)}", _EXIT_CODES.get(found, EXIT_HOLD)
    )
