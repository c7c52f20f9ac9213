"""nstat: the network stack's counters, as nstat(8) shows them. Source: `/proc/net/{netstat,snmp,snmp6}`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from drift_agent.config import as_boolean, option
from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import Point
from drift_agent.schema import INT64_MAX, INT64_MIN, Measurement

NSTAT: Final = Measurement(
    "nstat",
    "The network stack's counters since boot, `<Protocol><Name>`; `name` is netstat, snmp or snmp6. The kernel says"
    " which there are.",
    ("name",),
    {},
    rest="i",
)


@dataclass(frozen=True, slots=True)
class NstatOptions(MetricOptions):
    """`[metrics.nstat]`"""

    dump_zeros: bool = option(False, as_boolean, "counters that are 0 too")


def parse_pairs_of_lines(data: bytes) -> Iterator[tuple[str, int]]:
    """`/proc/net/netstat` and `snmp`: a line of names, then one of values, both with the protocol before them."""
    lines = data.decode().splitlines()
    for names, numbers in zip(lines[::2], lines[1::2], strict=False):
        protocol, _, rest = names.partition(":")
        for name, number in zip(rest.split(), numbers.split()[1:], strict=False):
            yield protocol + name, int(number)


def parse_lines(data: bytes) -> Iterator[tuple[str, int]]:
    """`/proc/net/snmp6`: a name and a value a line."""
    for line in data.decode().splitlines():
        parts = line.split()
        if len(parts) == 2:
            yield parts[0], int(parts[1])


_FILES: Final = {"netstat": parse_pairs_of_lines, "snmp": parse_pairs_of_lines, "snmp6": parse_lines}


def make(options: NstatOptions, _: Context) -> Gatherer:
    def gather(time: int, _: float) -> Iterable[Point]:
        for name, parse in _FILES.items():
            data = hostfs.read_if_there(hostfs.proc(f"net/{name}"))
            # A counter beyond int64 has no place on the wire; snmp6 has unsigned ones.
            values = {
                counter: number
                for counter, number in parse(data or b"")
                if (number or options.dump_zeros) and INT64_MIN <= number <= INT64_MAX
            }
            if values:
                yield Point("nstat", {"name": name}, values, time)

    return gather


METRIC: Final = Metric("nstat", make, (NSTAT,), NstatOptions)
