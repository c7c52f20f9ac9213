"""internal: what the agent says of its own gathering and sending, counted since its start."""

from collections.abc import Iterable
from typing import Final

from drift_agent import __version__
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import Point
from drift_agent.schema import Field, Measurement, fields

INTERNAL_AGENT: Final = Measurement(
    "internal_agent",
    "The agent as a whole.",
    ("version",),
    fields(
        "i",
        "1",
        "gather_errors gather_timeouts metrics_gathered metrics_dropped metrics_rejected metrics_written write_errors",
    ),
)
INTERNAL_GATHER: Final = Measurement(
    "internal_gather",
    "Each metric: `input` is its name.",
    ("input", "version"),
    {
        **fields("i", "1", "gather_errors gather_timeouts metrics_gathered metrics_rejected"),
        "gather_time_ns": Field("i", "ns", "of the last time"),
    },
)
INTERNAL_WRITE: Final = Measurement(
    "internal_write",
    "Each output; `metrics_dropped` is what the spool's caps cost it, `metrics_rejected` what it refused.",
    ("output", "version"),
    {
        **fields("i", "1", "metrics_written metrics_dropped metrics_rejected write_errors buffer_size"),
        "buffer_limit": Field("i", "bytes", "the spool's cap"),
        "write_time_ns": Field("i", "ns", "of the last request"),
    },
)


def make(_: MetricOptions, context: Context) -> Gatherer:
    version = {"version": __version__}

    def gather(time: int, _: float) -> Iterable[Point]:
        gathers, outputs = context.gathers, context.outputs()
        yield Point(
            "internal_agent",
            version,
            {
                "gather_errors": sum(one.gather_errors for one in gathers.values()),
                "gather_timeouts": sum(one.gather_timeouts for one in gathers.values()),
                "metrics_gathered": sum(one.metrics_gathered for one in gathers.values()),
                "metrics_written": sum(one.metrics_written for one in outputs),
                "metrics_dropped": sum(one.metrics_dropped for one in outputs),
                "metrics_rejected": sum(one.metrics_rejected for one in gathers.values())
                + sum(one.metrics_rejected for one in outputs),
                "write_errors": sum(one.write_errors for one in outputs),
            },
            time,
        )
        for name, counted in gathers.items():
            values = {field: getattr(counted, field) for field in INTERNAL_GATHER.fields}
            yield Point("internal_gather", {"input": name, **version}, values, time)
        for output in outputs:
            values = {field: getattr(output, field) for field in INTERNAL_WRITE.fields}
            yield Point("internal_write", {"output": output.output, **version}, values, time)

    return gather


METRIC: Final = Metric(
    "internal", make, (INTERNAL_AGENT, INTERNAL_GATHER, INTERNAL_WRITE), default=True, least_interval=10.0
)
