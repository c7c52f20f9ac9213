"""A real disk that somebody else fills: a tmpfs of 20 MB. `test_spool.py` has the same without root."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import need
from drift_agent.clock import SystemClock
from drift_agent.config import OutputOptions, SpoolOptions
from drift_agent.ship.shipper import Shipping
from drift_agent.ship.spool import Spool
from fakes import FakeClock
from servers import Influxd1
from waiting import PATIENCE, wait_until

T0 = 1_700_000_000_000_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    need.root()
    mount = [need.program("mount"), "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        need.absent("leave to mount a tmpfs")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def fill(path: Path) -> None:
    """Takes the last byte of the disk."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


def lines(measurement: str, first: int, count: int) -> list[str]:
    return [f'{measurement} value={n}i,s="{"x" * 200}" {T0 + n}' for n in range(first, first + count)]


def test_drift_leaves_a_full_disk_logs_pause_and_all_recovers(small_disk: Path, influxd1: Influxd1) -> None:
    database = influxd1.new_database()
    outputs = [OutputOptions(url=influxd1.url, database=database)]
    spool = Spool.open(small_disk / "spool.db", SpoolOptions(max_bytes=64 << 20), outputs, SystemClock())
    spool.put({"metrics": lines("metrics", 0, 2000)})
    fill(small_disk / "hog")
    number = 2000
    while spool.writable and number < 200_000:
        spool.put({"metrics": lines("metrics", number, 500)})
        number += 500
    assert not spool.stats().writable
    spool.put({"drift": lines("drift", 0, 3)})
    assert not spool.put({"logs": lines("logs", 0, 500)}, offsets={"a": b"1"})

    shipping = Shipping(spool, outputs, 0.05, "i-1", SystemClock())
    shipping.start()
    shipping.notify("drift")
    try:
        wait_until(lambda: not any(shipping.status()["outputs"][0]["waiting"].values()), what="everything sent")
        (small_disk / "hog").unlink()
        wait_until(lambda: spool.put({"logs": lines("logs", 0, 500)}, offsets={"a": b"1"}), what="logs taken")
        assert spool.writable
        assert spool.offsets() == {"a": b"1"}
        assert shipping.stop(PATIENCE)
    finally:
        shipping.stop(0)
        spool.close()
    for measurement, count in (("metrics", number), ("drift", 3), ("logs", 500)):
        rows = influxd1.rows(f'SELECT count("value") FROM "{measurement}"', database)
        assert rows[0]["count"] == count
    assert sum(spool.stats().dropped.values()) == 0


def remount(path: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(path)], check=True)


def test_on_a_disk_that_is_read_only_the_agent_runs_and_recovers(small_disk: Path) -> None:
    output, clock = OutputOptions(url="http://influxdb.example:8086"), FakeClock()

    def drift(spool: Spool) -> int:
        return sum(batch.lines for batch in spool.take(output.label, "drift", 100, 1 << 20))

    spool = Spool.open(small_disk / "spool.db", SpoolOptions(), [output], clock)
    spool.put({"drift": lines("drift", 0, 3)})
    spool.close()
    remount(small_disk, "ro")
    try:
        spool = Spool.open(small_disk / "spool.db", SpoolOptions(), [output], clock)
        assert spool.put({"drift": lines("drift", 3, 2)})
        assert not spool.put({"logs": lines("logs", 0, 1)}, offsets={"a": b"1"})
        assert drift(spool) == 2
    finally:
        remount(small_disk, "rw")
    clock.advance(1)
    assert spool.put({"logs": lines("logs", 0, 1)}, offsets={"a": b"1"})
    assert drift(spool) == 5
    assert spool.offsets() == {"a": b"1"}
    spool.close()
