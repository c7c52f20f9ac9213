"""netstat: sockets by state. Source: `/proc/net/tcp`, `/proc/net/tcp6` and `/proc/net/sockstat`.

Walking all sockets is dear where there are many, so it is gathered only when enabled.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from drift_agent.metrics import hostfs
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Measurement, fields

# By the kernel's number of the state (include/net/tcp_states.h), as /proc/net/tcp has it.
_STATES: Final = {
    b"01": "tcp_established", b"02": "tcp_syn_sent", b"03": "tcp_syn_recv", b"04": "tcp_fin_wait1",
    b"05": "tcp_fin_wait2", b"06": "tcp_time_wait", b"07": "tcp_close", b"08": "tcp_close_wait", b"09": "tcp_last_ack",
    b"0A": "tcp_listen", b"0B": "tcp_closing", b"0C": "tcp_syn_recv",
}  # fmt: skip
_NONE: Final = "tcp_none"

NETSTAT: Final = Measurement(
    "netstat",
    "TCP sockets by state, and the number of UDP sockets, IPv4 and IPv6 together.",
    (),
    fields("i", "1", " ".join([*dict.fromkeys(_STATES.values()), _NONE, "udp_socket"])),
)


def count_states() -> dict[str, FieldValue]:
    """TCP sockets by field of `netstat`, IPv4 and IPv6 together; empty where this kernel lists none."""
    found = [hostfs.absent(_count_numbers, hostfs.proc(name)) for name in ("net/tcp", "net/tcp6")]
    if found[0] is None:
        return {}
    values = dict.fromkeys([*_STATES.values(), _NONE], 0)
    for numbers in found:
        for number, count in (numbers or {}).items():
            values[_STATES.get(number, _NONE)] += count
    return dict(values)


def _count_numbers(path: str) -> Counter[bytes]:
    with open(path, "rb") as file:
        next(file, None)
        return Counter(line.split(None, 4)[3] for line in file)  # line by line: 15 MB where there are 100,000 sockets


def count_udp() -> dict[str, FieldValue]:
    """UDP sockets in use, from `/proc/net/sockstat` and `sockstat6`; empty where there is neither."""
    counts = [
        int(line.split()[2])
        for name in ("net/sockstat", "net/sockstat6")
        for line in (hostfs.read_if_there(hostfs.proc(name)) or b"").splitlines()
        if line.startswith((b"UDP:", b"UDP6:"))
    ]
    return {"udp_socket": sum(counts)} if counts else {}


def make(_: MetricOptions, __: Context) -> Gatherer:
    def gather(time: int, _: float) -> Iterable[Point]:
        values = {**count_states(), **count_udp()}
        if values:
            yield Point("netstat", {}, values, time)

    return gather


METRIC: Final = Metric("netstat", make, (NETSTAT,))
