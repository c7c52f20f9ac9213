"""The agent as it runs: schedule and wiring.

Threads: the main one samples metrics; one finds out who we are and then starts the others (the detector, the sender's,
the logs', the one that asks the cloud whether the end is near). All of them end when `stop` is set; one that fails
ends the agent, so that the service manager starts it anew. What they share is the recorder, and the spool behind it.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Final

from drift_agent import __version__
from drift_agent.clock import Clock
from drift_agent.config import Config
from drift_agent.config_file import located
from drift_agent.drift.announcer import Announcer
from drift_agent.drift.comparison import Comparison, open_comparison
from drift_agent.drift.detector import Detector
from drift_agent.drift.first_boot import booted_at
from drift_agent.drift.knowledge import Knowledge
from drift_agent.drift.state import StateStore, StateUnavailableError
from drift_agent.ending import is_machine_ending, systemd_jobs, watch_cloud
from drift_agent.errors import EXIT_FAILED, EXIT_OK, DriftlineError
from drift_agent.identity import Identity, is_baked_hostname, resolve
from drift_agent.image.manifest import Manifest
from drift_agent.logs.follower import Follower
from drift_agent.metrics.metric import OutputStats
from drift_agent.metrics.runner import Runner
from drift_agent.model import State
from drift_agent.recorder import Recorder, drift_recorder
from drift_agent.ship.shipper import Shipping
from drift_agent.ship.spool import Spool
from drift_agent.state_dir import StateDir
from drift_agent.status import StatusServer, readable_times
from drift_agent.systemd import Notifier
from drift_agent.units import rfc3339

LOG: Final = logging.getLogger("driftline.agent")

IDENTITY_SECONDS: Final = 30.0
LAST_LOOK_SECONDS: Final = 10.0
STATE_SECONDS: Final = 5.0
"""How often a state.db that cannot be opened is tried again."""

LOG_SECONDS: Final = 1.0
"""How often the logs are looked at."""

DRAIN_SECONDS: Final = 10.0
"""How long the end may take to send what waits; what is left stays in the spool."""


class Agent:
    """One agent of one machine. `run` belongs to one thread; `stop` may be set from any, by no signal handler."""

    def __init__(self, config: Config, clock: Clock, notifier: Notifier) -> None:
        self.stop = Event()
        self._config = config
        self._clock = clock
        self._notifier = notifier
        self._lock = Lock()
        self._threads: list[Thread] = []
        self._failed = False
        self._machine_ends = False
        self._started = clock.time_ns()
        self._identity: Identity | None = None
        self._follower: Follower | None = None
        self._detector: Detector | None = None
        self._shipping: Shipping | None = None

    def run(self) -> int:
        """Runs until `stop` is set, then says the last word and sends what can be sent. Returns the exit code.

        Raises:
            LockHeldError: another agent runs on this state folder.
            ConfigError: the state folder cannot be used, or a metric's own keys are wrong.
        """
        config, clock = self._config, self._clock
        with StateDir(config.agent.state_dir) as state:
            runner = Runner(config.metrics, config.agent.interval, clock, outputs=self._output_stats)
            spool = Spool.open(str(state.path / "spool.db"), config.spool, config.outputs, clock)
            try:
                with located(config):
                    self._follower = Follower(config.logs, spool.offsets(), clock, interval=config.agent.interval)
                with StatusServer(state.path, lambda: self._status(runner)):
                    self._run(state.path, runner, spool)
            finally:
                runner.close()
                spool.close()
        return EXIT_FAILED if self._failed else EXIT_OK

    def _run(self, folder: Path, runner: Runner, spool: Spool) -> None:
        recorder = Recorder(spool.put, self._config.agent.tags)
        self._start_thread("identity", self._begin, folder, spool, recorder)
        self._notifier.ready()
        LOG.info("driftline %s, state in %s, metrics %s", __version__, folder, " ".join(runner.names))
        self._sample_until_stopped(runner, recorder)
        self._notifier.stopping()
        self._finish(runner, recorder)

    # ------------------------------------------------------------------------------------------ start

    def _begin(self, folder: Path, spool: Spool, recorder: Recorder) -> None:
        """Finds out who we are, and starts everything that must know it."""
        identity = identify(self._config, self._clock)
        LOG.info("instance %s, host %s, image %s", identity.instance, identity.host, identity.image)
        with self._lock:
            if not self.stop.is_set():
                self._start(identity, folder, spool, recorder)

    def _start(self, identity: Identity, folder: Path, spool: Spool, recorder: Recorder) -> None:
        config = self._config
        flush = config.agent.flush_interval or config.agent.interval
        shipping = self._shipping = Shipping(
            spool, config.outputs, flush, identity.instance, self._clock, failed=self._fail
        )
        self._identity = identity
        recorder.identify(identity)
        shipping.start()
        self._start_thread("detector", self._detect, identity, folder, recorder, shipping)
        if config.logs:
            self._start_thread("logs", follow_logs, self.stop, self._follower, self._clock, recorder)
        self._start_thread("cloud", watch_cloud, self.stop, self._end_machine, self._clock)

    def _detect(self, identity: Identity, folder: Path, recorder: Recorder, shipping: Shipping) -> None:
        """Looks for drift until the end; where its memory cannot be opened, as on a full disk, as soon as it can be."""
        complained = False
        while True:
            try:
                detector = make_detector(self._config, identity, folder, self._clock, recorder, shipping)
                break
            except StateUnavailableError as error:
                if not complained:
                    LOG.error("%s; nothing is said of drift until it can be", error)
                complained = True
            if self._clock.wait(self.stop, STATE_SECONDS):
                return
        with self._lock:
            self._detector = detector
        detector.run(self.stop)

    def _start_thread(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        def guarded() -> None:
            finished = False
            try:
                target(*arguments)
                finished = True
            except DriftlineError as error:
                LOG.error("%s", error)
            finally:
                if not finished:  # of a fault of ours, the traceback goes to stderr by threading's own hook
                    self._fail()

        thread = Thread(target=guarded, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _fail(self) -> None:
        self._failed = True
        self.stop.set()

    def _output_stats(self) -> Sequence[OutputStats]:
        """What `internal_write` says of each output."""
        status = self._shipping.status() if self._shipping is not None else {"outputs": []}
        return [
            OutputStats(
                output=one["name"],
                metrics_written=one["written"],
                metrics_dropped=one["dropped"],
                metrics_rejected=one["rejected"],
                write_errors=one["errors"],
                write_time_ns=one["write_ns"],
                buffer_size=sum(one["waiting"].values()),
                buffer_limit=status["spool"]["max_bytes"],
            )
            for one in status["outputs"]
        ]

    def _status(self, runner: Runner) -> dict[str, Any]:
        """The document of `drift-agent status`; what has not started yet is absent."""
        document: dict[str, Any] = {"version": __version__, "pid": os.getpid(), "started": rfc3339(self._started)}
        if self._identity is not None:
            document["identity"] = asdict(self._identity)
        if self._detector is not None:
            document["drift"] = self._detector.status()
        document["metrics"] = {name: asdict(stats) for name, stats in runner.stats.items()}
        if self._shipping is not None:
            document |= self._shipping.status()
            readable_times(document)
        return document

    # ---------------------------------------------------------------------------------------- running

    def _sample_until_stopped(self, runner: Runner, recorder: Recorder) -> None:
        """Samples on the interval's own marks of the wall clock, so that the points of a fleet line up."""
        tick = round(runner.tick * 1e9)
        pulse = self._notifier.watchdog_seconds / 2 or runner.tick
        mark = self._clock.time_ns() // tick * tick  # the first sample at once: rates need one before them
        while True:
            now = self._clock.time_ns()
            if now >= mark or mark - now > 2 * tick:  # the clock was set back: go on from where it is
                mark = now // tick * tick
                recorder.record("metrics", runner.gather(mark, self._clock.monotonic()))
                mark += tick
                now = self._clock.time_ns()
            self._notifier.alive()
            if self._clock.wait(self.stop, min((mark - now) / 1e9, pulse)):
                return

    def _end_machine(self, _reason: str) -> None:
        self._machine_ends = True
        self.stop.set()

    # -------------------------------------------------------------------------------------------- end

    def _finish(self, runner: Runner, recorder: Recorder) -> None:
        """The last sample, the last word, and a bounded drain; what is not acknowledged stays in the spool."""
        with self._lock:  # nothing starts any more
            detector, shipping = self._detector, self._shipping
        recorder.record("metrics", runner.gather(self._clock.time_ns(), self._clock.monotonic()))
        if detector is not None:
            detector.wake()
        for thread in self._threads:
            if thread.name in ("detector", "logs"):  # they still have something to say
                thread.join(LAST_LOOK_SECONDS)
        if detector is not None:
            detector.last_word(self._last_word())
        if shipping is not None and not shipping.stop(DRAIN_SECONDS):
            LOG.warning("what the outputs have not acknowledged stays in the spool")
        if detector is not None:
            detector.close()

    def _last_word(self) -> State:
        ends = self._machine_ends or is_machine_ending(systemd_jobs())
        return "terminated" if ends else "stopped"


def identify(config: Config, clock: Clock, seconds: float = IDENTITY_SECONDS) -> Identity:
    """Who this machine is, found out within `seconds`; never raises."""
    stamp, hostname = _baked(config.image.manifest)
    deadline = clock.monotonic() + seconds
    return resolve(config, stamp, hostname, root=config.image.root, deadline=deadline, monotonic=clock.monotonic)


def _baked(path: str) -> tuple[str, str]:
    """The image's stamp, and our hostname where it is the baked one.

    Both are empty where the manifest cannot be read: the detector says so.
    """
    name = os.uname().nodename
    try:
        with Manifest.open(path) as manifest:
            return manifest.header.stamp, name if is_baked_hostname(manifest, name) else ""
    except DriftlineError:
        return "", ""


def make_detector(
    config: Config, identity: Identity, folder: Path, clock: Clock, recorder: Recorder, shipping: Shipping
) -> Detector:
    """The detector on this machine's manifest, its memory in `folder`, its points in the drift lane."""
    log = logging.getLogger("driftline.drift")
    store = StateStore.open(str(folder / "state.db"), identity.machine, identity.cloud_id, log.warning)
    knowledge = Knowledge(store, log.warning, booted_at(clock.time_ns()), log.info)
    emit = drift_recorder(recorder, shipping.notify)
    announcer = Announcer(config, identity, knowledge, clock, emit, shipping.clock_offset)

    def open_manifest() -> Comparison:
        return open_comparison(config, folder)

    return Detector(config.image, open_manifest, knowledge, announcer, clock, log.warning, inform=log.info)


def follow_logs(stop: Event, follower: Follower, clock: Clock, recorder: Recorder) -> None:
    """Follows the configured logs until `stop` is set.

    A batch that the spool did not take is offered again, and nothing more is read: the log files are the buffer.
    """
    try:
        while not stop.is_set():
            batch = follower.poll(clock.time_ns())
            taken = recorder.record("logs", batch.points, batch.offsets)
            if taken:
                follower.confirm()
            if not (taken and batch.more):
                clock.wait(stop, LOG_SECONDS)
        batch = follower.poll(clock.time_ns(), flush=True)
        if recorder.record("logs", batch.points, batch.offsets):
            follower.confirm()
    finally:
        follower.close()
