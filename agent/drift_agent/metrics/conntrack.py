"""conntrack: tracked connections, and how many there may be. Source: `/proc/sys/net/netfilter`."""

from collections.abc import Iterable
from typing import Final

from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Measurement, fields

CONNTRACK: Final = Measurement(
    "conntrack",
    "Connections that netfilter tracks; no point where it tracks none.",
    (),
    fields("f", "1", "ip_conntrack_count ip_conntrack_max"),
)
_PLACES: Final = ("sys/net/netfilter/nf_", "sys/net/ipv4/netfilter/ip_")


def make(_: MetricOptions, __: Context) -> Gatherer:
    def gather(time: int, _: float) -> Iterable[Point]:
        values: dict[str, FieldValue] = {}
        for name in ("conntrack_count", "conntrack_max"):
            found = (hostfs.read_int(hostfs.proc(place + name)) for place in _PLACES)
            number = next((number for number in found if number is not None), None)
            if number is not None:
                values[f"ip_{name}"] = number
        if values:
            yield Point("conntrack", {}, values, time)

    return gather


METRIC: Final = Metric("conntrack", make, (CONNTRACK,))
