"""What the community's dashboards for Telegraf query (928, 5955) is there, of the right type, in a real InfluxDB."""

import time
from typing import Final

import pytest

from drift_agent.clock import SystemClock
from drift_agent.config import MetricsOptions
from drift_agent.line_protocol import Encoder
from drift_agent.metrics import METRIC_NAMES
from drift_agent.metrics.hostfs import proc, read_if_there
from drift_agent.metrics.runner import Runner
from servers import Influxd1
from telegraf_schema import RECORDED

TYPES: Final = {"f": "float", "i": "integer", "s": "string"}

WHOLE: Final = ("cpu", "mem", "swap", "disk", "diskio", "net", "system", "processes", "kernel", "netstat")
"""Measurements of which they query field after field: all that Telegraf writes must be there."""

BESIDE: Final = {
    "net": "tcp_estabresets tcp_outrsts tcp_activeopens tcp_passiveopens udp_indatagrams udp_outdatagrams",
    "nstat": "TcpActiveOpens TcpPassiveOpens TcpInSegs TcpOutSegs IpInReceives IpExtInOctets IpExtOutOctets",
    "linux_sysctl_fs": "file-nr file-max inode-nr inode-free-nr",
}
"""What else they query; of `net` what Telegraf itself no longer sends."""

KERNELS_CHOICE: Final = {"ksm_general_profit"}
"""Recorded on a kernel that has it."""


@pytest.fixture(scope="module")
def types(influxd1: Influxd1) -> dict[str, dict[str, str]]:
    """Types of fields by measurement, of an InfluxDB that was fed two samples of everything."""
    database = influxd1.new_database()
    runner = Runner(MetricsOptions(enable=METRIC_NAMES, disable=("nginx",)), 10.0, SystemClock())
    encoder = Encoder({"host": "web-1", "image": "web@1", "group": "web"})
    points = runner.gather(time.time_ns(), time.monotonic(), everything=True)
    while not any(point.measurement == "cpu" for point in points):  # a tick of the kernel's must pass
        points += runner.gather(time.time_ns(), time.monotonic(), everything=True)
    runner.close()
    influxd1.write([encoder.line(point) for point in points], database)
    found = {}
    for measurement in {point.measurement for point in points}:
        rows = influxd1.rows(f'SHOW FIELD KEYS FROM "{measurement}"', database)
        found[measurement] = {row["fieldKey"]: row["fieldType"] for row in rows}
    return found


@pytest.mark.parametrize("measurement", WHOLE)
def test_whole_measurements(types: dict[str, dict[str, str]], measurement: str) -> None:
    wanted = {name: TYPES[kind] for name, kind in RECORDED[measurement]["fields"].items()}
    rates = {"io_await", "io_svctm"}  # only where the device did something between two samples
    for name, kind in wanted.items():
        if name not in KERNELS_CHOICE | rates or name in types[measurement]:
            assert types[measurement].get(name) == kind, name


@pytest.mark.parametrize("measurement", BESIDE)
def test_single_fields(types: dict[str, dict[str, str]], measurement: str) -> None:
    assert {types[measurement].get(name) for name in BESIDE[measurement].split()} == {"integer"}


def test_tracked_connections_where_the_kernel_tracks_them(types: dict[str, dict[str, str]]) -> None:
    if read_if_there(proc("sys/net/netfilter/nf_conntrack_count")) is None:
        assert "conntrack" not in types
    else:
        assert types["conntrack"] == {"ip_conntrack_count": "float", "ip_conntrack_max": "float"}
