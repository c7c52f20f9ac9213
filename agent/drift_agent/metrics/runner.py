"""Times and guards every metric: one that fails is counted, one that hangs is left out until it answers.

Metrics run one after the other in a thread of their own, so that a hanging one (statvfs on a dead NFS server) can be
left behind: a new thread goes on with the rest, and the metric is skipped until its call comes back.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Final

from drift_agent.clock import Clock
from drift_agent.config import MetricsOptions
from drift_agent.config_file import read_options
from drift_agent.metrics import MEASUREMENTS, METRICS
from drift_agent.metrics.metric import Context, Gatherer, GatherStats, Metric, OutputStats
from drift_agent.model import Point
from drift_agent.schema import SchemaError
from drift_agent.units import SECOND

LOG: Final = logging.getLogger("driftline.metrics")


@dataclass(slots=True)
class _Job:
    name: str
    interval: float
    gather: Gatherer
    stats: GatherStats
    due: float = float("-inf")
    hanging: bool = False
    failing: bool = False


@dataclass(slots=True)
class _Pass:
    """Jobs to run in order. The thread adds to `results`, one list a job; who waits may give it up under `lock`."""

    jobs: Sequence[_Job]
    now_ns: int
    monotonic: float
    results: list[list[Point]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    done: SimpleQueue[None] = field(default_factory=SimpleQueue)
    abandoned: bool = False


class Runner:
    """Gathers what is due. `gather` is called from one thread."""

    def __init__(
        self,
        options: MetricsOptions,
        interval: float,
        clock: Clock,
        *,
        outputs: Callable[[], Sequence[OutputStats]] = tuple,
        metrics: Sequence[Metric] = METRICS,
        patience: float = 5.0,
    ) -> None:
        """`interval`: the agent's, s. `patience`: s after which a metric that has not answered counts as hanging.

        Raises:
            ConfigError: a table `[metrics.NAME]` holds an unknown key or a bad value.
        """
        self._clock = clock
        self._patience = patience
        self._stats: dict[str, GatherStats] = {}
        context = Context(self._stats, outputs)
        self._jobs = [_make_job(metric, options, interval, context) for metric in chosen(metrics, options)]
        self._measurements = {**MEASUREMENTS, **{one.name: one for each in metrics for one in each.measurements}}
        self._work: SimpleQueue[_Pass | None] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics that are gathered, in order."""
        return tuple(job.name for job in self._jobs)

    @property
    def stats(self) -> Mapping[str, GatherStats]:
        """What was counted of each metric since start."""
        return self._stats

    @property
    def tick(self) -> float:
        """Seconds between two calls of `gather` that miss nothing: the shortest of the metrics' intervals."""
        return min((job.interval for job in self._jobs), default=10.0)

    def gather(self, now_ns: int, monotonic: float, *, everything: bool = False) -> list[Point]:
        """The points of what is due (of every metric, if `everything`), in the metrics' order.

        They are stamped `now_ns`, rounded to the second for metrics with intervals of a second and more. Blocks
        until all have answered, at most `patience` seconds without progress, and not at all for one that still hangs.
        """
        slack = self.tick / 2
        due = [job for job in self._jobs if everything or monotonic + slack >= job.due]
        for job in due:
            job.due = monotonic + job.interval
            if job.hanging:
                job.stats.gather_timeouts += 1
        points: list[Point] = []
        left = [job for job in due if not job.hanging]
        while left:
            done = self._run(_Pass(left, now_ns, monotonic))
            points.extend(point for found in done for point in found)
            left = left[len(done) + 1 :]  # behind the one that hangs, if one does
        return points

    def close(self) -> None:
        """Lets the thread that gathers end."""
        if self._work is not None:
            self._work.put(None)
            self._work = None

    def _run(self, todo: _Pass) -> list[list[Point]]:
        """The points of each job, up to the first that hangs."""
        if self._work is None:
            self._work = SimpleQueue()
            Thread(target=self._serve, args=(self._work,), name="metrics", daemon=True).start()
        self._work.put(todo)
        progress = 0
        while not _is_done(todo, self._patience):
            with todo.lock:
                if len(todo.results) in (progress, len(todo.jobs)):
                    break
                progress = len(todo.results)
        with todo.lock:
            if len(todo.results) < len(todo.jobs):
                self._leave_behind(todo)
            return list(todo.results)

    def _leave_behind(self, todo: _Pass) -> None:
        """Gives up the pass and its thread, which ends when the call that hangs comes back."""
        todo.abandoned = True
        self._work = None
        job = todo.jobs[len(todo.results)]
        job.hanging = True
        job.stats.gather_timeouts += 1
        LOG.warning(
            "metric %s has not answered for %gs; it is left out until it does (internal_gather counts it)",
            job.name, self._patience,
        )  # fmt: skip

    def _serve(self, work: SimpleQueue[_Pass | None]) -> None:
        while (todo := work.get()) is not None:
            for job in todo.jobs:
                points = self._gather_one(job, todo)
                with todo.lock:
                    if todo.abandoned:
                        LOG.warning("metric %s answers again", job.name)
                        job.hanging = False
                        return
                    todo.results.append(points)
            todo.done.put(None)

    def _gather_one(self, job: _Job, todo: _Pass) -> list[Point]:
        started = self._clock.monotonic()
        now = todo.now_ns
        stamp = (now + SECOND // 2) // SECOND * SECOND if job.interval >= 1 else now
        points: list[Point] = []
        try:
            for point in job.gather(stamp, todo.monotonic):
                self._take(job, point, points)  # one by one: what was gathered before a failure counts
        except Exception as error:  # noqa: BLE001 (the one place that guards metrics: it must hold for any of them)
            self._failed(job, error)
        else:
            if job.failing:
                job.failing = False
                LOG.info("metric %s works again", job.name)
        job.stats.metrics_gathered += len(points)
        job.stats.gather_time_ns = round((self._clock.monotonic() - started) * SECOND)
        return points

    def _take(self, job: _Job, point: Point, points: list[Point]) -> None:
        try:
            points.append(self._measurements[point.measurement].conform(point))
        except (KeyError, SchemaError) as error:
            job.stats.metrics_rejected += 1
            LOG.error("metric %s: a point was left out: %s", job.name, error)

    def _failed(self, job: _Job, error: Exception) -> None:
        job.stats.gather_errors += 1
        if not job.failing:
            job.failing = True
            LOG.warning("metric %s failed, and is tried again each time: %s: %s", job.name, type(error).__name__, error)


def _is_done(todo: _Pass, seconds: float) -> bool:
    """Waits until the pass is through, at most so long."""
    try:
        todo.done.get(timeout=seconds)
    except Empty:
        return False
    return True


def chosen(metrics: Sequence[Metric], options: MetricsOptions) -> list[Metric]:
    """The metrics that `[metrics]` asks for: the defaults, with `enable` added and `disable` taken away.

    A table `[metrics.NAME]` holds keys of a metric, and does not enable it.
    """
    return [
        metric
        for metric in metrics
        if (metric.default or metric.name in options.enable) and metric.name not in options.disable
    ]


def _make_job(metric: Metric, options: MetricsOptions, interval: float, context: Context) -> _Job:
    own = read_options(metric.options, f"metrics.{metric.name}", options.own.get(metric.name, {}))
    stats = context.gathers[metric.name] = GatherStats()
    return _Job(metric.name, own.interval or max(interval, metric.least_interval), metric.make(own, context), stats)
