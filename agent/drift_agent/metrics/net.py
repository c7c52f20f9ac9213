"""net: what the interfaces carried, and the protocols' counters that dashboards ask for beside it.

Source: `/proc/net/dev`, `/sys/class/net` and `/proc/net/snmp`; psutil elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import psutil

from drift_agent.config import as_boolean, as_texts, option
from drift_agent.metrics import hostfs
from drift_agent.metrics.filters import NameFilter
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Field, Measurement, fields

_PROTOCOLS: Final = {
    "Tcp": "ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts",
    "Udp": "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors",
}

NET: Final = Measurement(
    "net",
    "What each interface carried since it is there; `interface=all` holds the protocols' counters since boot.",
    ("interface",),
    {
        **fields("i", "bytes", "bytes_sent bytes_recv"),
        **fields("i", "1", "packets_sent packets_recv err_in err_out drop_in drop_out"),
        "speed": Field("i", "Mbit/s", "-1 where it is not known"),
        **{
            f"{protocol}_{name}".lower(): Field("i", "1", "with interface=all")
            for protocol, names in _PROTOCOLS.items()
            for name in names.split()
        },
    },
)
_IFF_UP: Final = 1
_IFF_LOOPBACK: Final = 8

# Columns of /proc/net/dev: eight of what came in, eight of what went out.
_COLUMNS: Final = {
    "bytes_recv": 0, "packets_recv": 1, "err_in": 2, "drop_in": 3,
    "bytes_sent": 8, "packets_sent": 9, "err_out": 10, "drop_out": 11,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NetOptions(MetricOptions):
    """`[metrics.net]`"""

    interfaces: tuple[str, ...] = option((), as_texts, "patterns of the only interfaces to look at (all that are up)")
    ignore_interfaces: tuple[str, ...] = option(
        ("veth*", "cali*", "lxc*", "tap*"), as_texts, "patterns of interfaces to leave out"
    )
    protocols: bool = option(True, as_boolean, "the counters of TCP and UDP too, with interface=all")


def parse_dev(data: bytes) -> dict[str, dict[str, FieldValue]]:
    """Counters by interface, from `/proc/net/dev`."""
    counters: dict[str, dict[str, FieldValue]] = {}
    for line in data.splitlines()[2:]:
        name, _, rest = line.rpartition(b":")
        numbers = rest.split()
        if len(numbers) >= 12:
            counters[name.strip().decode()] = {field: int(numbers[at]) for field, at in _COLUMNS.items()}
    return counters


def parse_snmp(data: bytes) -> dict[str, FieldValue]:
    """The counters of `_PROTOCOLS` from `/proc/net/snmp`: pairs of lines, names and values."""
    values: dict[str, FieldValue] = {}
    lines = data.decode().splitlines()
    for names, numbers in zip(lines[::2], lines[1::2], strict=False):
        protocol, _, rest = names.partition(":")
        wanted = _PROTOCOLS.get(protocol)
        if wanted is not None:
            found = dict(zip(rest.split(), numbers.split()[1:], strict=False))
            values |= {f"{protocol}_{name}".lower(): int(found[name]) for name in wanted.split() if name in found}
    return values


def _flags(interface: str) -> int:
    return hostfs.read_int(hostfs.sys(f"class/net/{interface}/flags"), 16) or 0


def _linux_interfaces(options: NetOptions, names: NameFilter) -> Iterable[tuple[str, dict[str, FieldValue]]]:
    for name, values in parse_dev(hostfs.read(hostfs.proc("net/dev"))).items():
        if not names.allows(name):
            continue
        # An interface that is asked for by name is looked at whatever its state.
        if not options.interfaces and _flags(name) & (_IFF_UP | _IFF_LOOPBACK) != _IFF_UP:
            continue
        speed = hostfs.read_int(hostfs.sys(f"class/net/{name}/speed"))
        values["speed"] = speed if speed is not None else -1
        yield name, values


def _portable_interfaces(options: NetOptions, names: NameFilter) -> Iterable[tuple[str, dict[str, FieldValue]]]:
    states = psutil.net_if_stats()
    renamed = {"err_in": "errin", "err_out": "errout", "drop_in": "dropin", "drop_out": "dropout"}
    for name, found in psutil.net_io_counters(pernic=True).items():
        state = states.get(name)
        up = state is not None and state.isup and "loopback" not in state.flags
        if names.allows(name) and (options.interfaces or up):
            values: dict[str, FieldValue] = {field: getattr(found, renamed.get(field, field)) for field in _COLUMNS}
            values["speed"] = state.speed if state is not None and state.speed else -1
            yield name, values


def make(options: NetOptions, _: Context) -> Gatherer:
    names = NameFilter(options.interfaces, options.ignore_interfaces)
    interfaces = _linux_interfaces if psutil.LINUX else _portable_interfaces

    def gather(time: int, _: float) -> Iterable[Point]:
        for name, values in interfaces(options, names):
            yield Point("net", {"interface": name}, values, time)
        snmp = hostfs.read_if_there(hostfs.proc("net/snmp")) if options.protocols and psutil.LINUX else None
        if snmp:
            yield Point("net", {"interface": "all"}, parse_snmp(snmp), time)

    return gather


METRIC: Final = Metric("net", make, (NET,), NetOptions, default=True)
