"""Delivery: what sending costs, how fast a backlog drains, and an hour's outage.

    python benchmarks/ship.py cpu      CPU of this process per 1,000 lines, from the spool to the acknowledgement
    python benchmarks/ship.py drain    the same backlog sent by us and by curl: the ratio
    python benchmarks/ship.py outage   an hour without a server at 10,000 points a second (simulated clock)

`cpu` and `drain` start Debian's influxd on a loopback port. Times swing by a third with what else runs: the ratio of
`drain` is of turns taken one after the other.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drift_agent.clock import SystemClock
from drift_agent.config import OutputOptions, SpoolOptions
from drift_agent.ship.dead_letter import DeadLetters
from drift_agent.ship.deadline import Watchdog
from drift_agent.ship.http import HttpClient
from drift_agent.ship.output import Output
from drift_agent.ship.sender import Sender
from drift_agent.ship.shipper import Shipping
from drift_agent.ship.spool import Spool

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from fakes import FakeClock
from servers import Influxd1
from stub_influx import StubInflux

T0 = 1_700_000_000_000_000_000
BODY_LINES = 5_000


def cpu_lines(first: int, count: int) -> list[str]:
    """Points as the agent makes them: the `cpu` of Telegraf, ten fields."""
    return [
        f"cpu,cpu=cpu{n % 16},group=web,host=web-1,image=web@1 usage_user={n % 97}.25,usage_system=1.5,usage_idle=9.75,"
        f"usage_active=7.25,usage_nice=0.0,usage_iowait=0.125,usage_irq=0.0,usage_softirq=0.0625,usage_steal=0.0,"
        f"usage_guest=0.0 {T0 + n * 1_000_000}"
        for n in range(first, first + count)
    ]


@contextmanager
def spooled(folder: Path, options: OutputOptions, count: int) -> Iterator[tuple[Spool, float]]:
    """A spool that holds `count` lines, and the CPU seconds that putting them cost."""
    spool = Spool.open(folder / "spool.db", SpoolOptions(max_bytes=2 << 30), [options], SystemClock())
    begin = time.process_time()
    for first in range(0, count, 1000):
        spool.put({"metrics": cpu_lines(first, 1000)})
    made = time.process_time() - begin
    begin = time.process_time()
    for first in range(0, count, 1000):
        cpu_lines(first, 1000)
    yield spool, made - (time.process_time() - begin)
    spool.close()


def drain(spool: Spool, options: OutputOptions) -> tuple[float, float]:
    """Wall and CPU seconds of sending everything."""
    shipping = Shipping(spool, [options], 0.01, "i-1", SystemClock())
    wall, cpu = time.monotonic(), time.process_time()
    shipping.start()
    if not shipping.stop(600):
        raise SystemExit("not everything was sent")
    return time.monotonic() - wall, time.process_time() - cpu


def measure_cpu(count: int) -> None:
    """As in the agent's days: 1,000 lines come, and are sent; and a backlog that is sent in bodies of 5,000 lines."""
    with Influxd1(shutil.which("influxd") or "influxd") as server, tempfile.TemporaryDirectory() as name:
        options = OutputOptions(url=server.url, database=server.new_database())
        clock, watchdog = SystemClock(), Watchdog()
        spool = Spool.open(Path(name) / "spool.db", SpoolOptions(), [options], clock)
        output = Output(options, HttpClient(options, watchdog), clock)
        sender = Sender(
            spool, output, DeadLetters(name + "/dead-letter.jsonl"), clock, flush_interval=3600.0, flush_phase=0.0
        )
        put = send = 0.0
        for first in range(0, count, 1000):
            lines = cpu_lines(first, 1000)
            begin = time.process_time()
            spool.put({"metrics": lines})
            put += time.process_time() - begin
            begin = time.process_time()
            sender.flush_now()
            while sender.step() == 0.0:
                pass
            send += time.process_time() - begin
        output.close()
        watchdog.end()
        spool.close()
        print(f"put:  {put / count * 1e6:.2f} ms of CPU per 1,000 lines")
        print(f"send: {send / count * 1e6:.2f} ms of CPU per 1,000 lines, 1,000 a body")
    with Influxd1(shutil.which("influxd") or "influxd") as server, tempfile.TemporaryDirectory() as name:
        options = OutputOptions(url=server.url, database=server.new_database())
        with spooled(Path(name), options, count) as (spool, _):
            print(f"send: {drain(spool, options)[1] / count * 1e6:.2f} ms of CPU per 1,000 lines of a backlog")


def measure_drain(count: int) -> None:
    ours, theirs = [], []
    with Influxd1(shutil.which("influxd") or "influxd") as server:
        for _ in range(3):
            with tempfile.TemporaryDirectory() as name:
                options = OutputOptions(url=server.url, database=server.new_database())
                with spooled(Path(name), options, count) as (spool, _):
                    ours.append(drain(spool, options)[0])
                theirs.append(curl(Path(name), server, count))
    for mine, curls in zip(ours, theirs, strict=True):
        print(f"we {count / mine:,.0f} lines/s, curl {count / curls:,.0f} lines/s, ratio {curls / mine:.2f}")


def curl(folder: Path, server: Influxd1, count: int) -> float:
    """Wall seconds of one curl process that sends the same bodies over one connection."""
    url = f"{server.url}/write?db={server.new_database()}&precision=ns"
    config = []
    for first in range(0, count, BODY_LINES):
        body = ("\n".join(cpu_lines(first, BODY_LINES)) + "\n").encode()
        compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
        (folder / f"{first}.gz").write_bytes(compressor.compress(body) + compressor.flush())
        entry = f'url = "{url}"\ndata-binary = "@{folder}/{first}.gz"\nheader = "Content-Encoding: gzip"\nfail\n'
        config.append(entry)
    (folder / "curl").write_text("next\n".join(config))
    begin = time.monotonic()
    subprocess.run(["curl", "-s", "-S", "-K", str(folder / "curl")], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def measure_outage(max_bytes: int, seconds: int, rate: int) -> None:
    """Nobody listens for `seconds` of a simulated clock; then a server that takes everything comes up."""
    clock = FakeClock()
    with tempfile.TemporaryDirectory() as name, StubInflux() as server:
        folder = Path(name)
        options = OutputOptions(url=server.url)
        spool = Spool.open(folder / "spool.db", SpoolOptions(max_bytes=max_bytes), [options], clock)
        lines, peak, sizes, begin = cpu_lines(0, rate), 0, 0, time.monotonic()
        for second in range(seconds):
            spool.put({"metrics": lines, "drift": [f"drift v={second}i {T0 + second}"]})
            clock.advance(1.0)
            sizes = max(sizes, sum(path.stat().st_size for path in folder.iterdir()))
            if second == seconds // 10:
                peak = memory()
        elapsed, after = time.monotonic() - begin, memory()
        stats = spool.stats()
        kept, dropped = sum(lane.points for lane in stats.lanes.values()), stats.dropped[options.label]
        client = HttpClient(options, Watchdog())
        client.close()
        wall, _ = drain(spool, options)
        stored = len(server.stored)
        spool.close()
        left = sum(path.stat().st_size for path in folder.iterdir())
    made = seconds * (rate + 1)
    print(f"{made:,} points in {elapsed:.0f} s; cap {max_bytes >> 20} MiB, files at most {sizes / max_bytes:.2f} of it")
    print(f"memory {peak / 1024:.0f} MiB after a tenth, {after / 1024:.0f} MiB at the end")
    print(f"kept {kept:,} + dropped {dropped:,} = {kept + dropped:,}; stored {stored:,} in {wall:.0f} s")
    print(f"files afterwards {left / 1024:.0f} KiB")
    if kept + dropped != made or stored != kept or sizes > 1.5 * max_bytes:
        raise SystemExit("a bound or the count does not hold")


def memory() -> int:
    """Resident memory now (KiB)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cpu", "drain", "outage"))
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--max-bytes", type=int, default=64 << 20)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--rate", type=int, default=10_000)
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    if options.what == "cpu":
        measure_cpu(options.lines)
    elif options.what == "drain":
        measure_drain(options.lines)
    else:
        measure_outage(options.max_bytes, options.seconds, options.rate)


if __name__ == "__main__":
    main()
