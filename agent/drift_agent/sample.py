"""The agent's work done once, for people who try it: one look and one sample, printed or sent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Timer
from typing import Final

from drift_agent.agent import DRAIN_SECONDS, identify, make_detector
from drift_agent.clock import Clock
from drift_agent.config import Config
from drift_agent.config_file import require_outputs
from drift_agent.drift.glance import glance
from drift_agent.errors import EXIT_FAILED, EXIT_HOLD, EXIT_OK, EXIT_RECYCLE
from drift_agent.metrics.runner import Runner
from drift_agent.model import Point, State
from drift_agent.recorder import Put, Recorder
from drift_agent.ship.shipper import Shipping
from drift_agent.ship.spool import Spool
from drift_agent.state_dir import StateDir

RATE_SECONDS: Final = 1.0
"""Between the two samples that rates are made from."""

GLANCE_SECONDS: Final = 1.0
"""How long `test` looks for drift, and asks the cloud who it is: people wait for it."""

PATIENCE_SECONDS: Final = 1.0
"""How long `once` waits for the outputs before it says so."""

_EXIT_CODES: Final[dict[State, int]] = {"clean": EXIT_OK, "drifted": EXIT_RECYCLE, "tainted": EXIT_RECYCLE}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `once` came to: a sentence, and the exit code (by the state, or 1 where it could not be sent)."""

    text: str
    exit_code: int


def preview(config: Config, clock: Clock, put: Put, tell: Callable[[str], None]) -> None:
    """Hands to `put` the lines that would leave this machine now: every enabled metric, rates included, and drift.

    Nothing is sent, and no file of the agent's written. Drift is left out, and `tell` told so, where a look at the
    machine takes longer than `GLANCE_SECONDS`.

    Raises:
        InputError: `state.db` is of a later version.
    """
    identity = identify(config, clock, GLANCE_SECONDS)
    recorder = Recorder(put, config.agent.tags)
    recorder.identify(identity)
    runner = Runner(config.metrics, config.agent.interval, clock)
    try:
        recorder.record("metrics", _sample_twice(runner, clock))
    finally:
        runner.close()
    seen = glance(config, identity, clock, GLANCE_SECONDS, tell)
    if seen is None:
        image = config.image
        tell(
            f"drift is left out, for a look at everything takes longer than {GLANCE_SECONDS:.0f} s here;"
            f" see it with drift-agent image check --root {image.root} --manifest {image.manifest}"
        )
    recorder.record("drift", seen or [])


def _sample_twice(runner: Runner, clock: Clock) -> list[Point]:
    """The second of two samples: the first is what its rates are measured from."""
    runner.gather(clock.time_ns(), clock.monotonic(), everything=True)
    clock.wait(Event(), RATE_SECONDS)
    return runner.gather(clock.time_ns(), clock.monotonic(), everything=True)


def run_once(config: Config, clock: Clock, tell: Callable[[str], None]) -> Outcome:
    """One complete look and one sample, through the spool to every output, within `DRAIN_SECONDS`.

    `tell` is told whom it waits for, where that takes a while.

    Raises:
        ConfigError: there is no output, or the state folder cannot be used.
        LockHeldError: an agent runs on this state folder; ask it (`status`).
    """
    require_outputs(config)
    with StateDir(config.agent.state_dir) as state:
        spool = Spool.open(str(state.path / "spool.db"), config.spool, config.outputs, clock)
        runner = Runner(config.metrics, config.agent.interval, clock)
        try:
            identity = identify(config, clock)
            shipping = Shipping(spool, config.outputs, config.agent.interval, identity.instance, clock)
            recorder = Recorder(spool.put, config.agent.tags)
            recorder.identify(identity)
            recorder.record("metrics", _sample_twice(runner, clock))
            detector = make_detector(config, identity, state.path, clock, recorder, shipping)
            found = detector.once()
            detector.close()
            outputs = ", ".join(output.label for output in config.outputs)
            waiting = f"waiting for {outputs}, at most {DRAIN_SECONDS:.0f} s"
            shipping.start()
            with _said_later(PATIENCE_SECONDS, tell, waiting):
                sent = shipping.stop(DRAIN_SECONDS)
        finally:
            runner.close()
            spool.close()
    if not sent:
        return Outcome(f"{found}, but not everything could be sent: it stays in the spool of {state.path}", EXIT_FAILED)
    return Outcome(f"{found}: sent to {outputs}", _EXIT_CODES.get(found, EXIT_HOLD))


@contextmanager
def _said_later(seconds: float, tell: Callable[[str], None], text: str) -> Iterator[None]:
    """Tells `text` once what is done within has taken so long."""
    timer = Timer(seconds, tell, [text])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
