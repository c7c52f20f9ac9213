"""Detection: how soon a change is in the spool, and how soon a detector ends.

    python benchmarks/detect.py [--writes 200] [--while-scanning]

Each write waits for the one before, so that neither the debounce nor the token bucket of reports is what is measured.
With `--while-scanning` a scan reads a file of 300 GB of nothing meanwhile. The last column is the ratio to the 30 ms
that every hint waits for another.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Condition, Event, Thread

from drift_agent.clock import SystemClock
from drift_agent.config import AgentOptions, Config, ImageOptions, OutputOptions, SpoolOptions
from drift_agent.drift.announcer import Announcer
from drift_agent.drift.comparison import open_comparison
from drift_agent.drift.detector import Detector
from drift_agent.drift.dirty import QUIET_SECONDS
from drift_agent.drift.knowledge import Knowledge
from drift_agent.drift.state import StateStore
from drift_agent.identity import Identity
from drift_agent.image.bake import bake
from drift_agent.image.policy import Policy
from drift_agent.model import Point
from drift_agent.recorder import Recorder
from drift_agent.ship.spool import Spool

IDENTITY = Identity("i-1", "web-1", "web@1", "default", "boot")
PATIENCE = 120.0


class Bench:
    """A baked tree, a detector that watches it, and the spool that its points go into."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        (self.root / "etc").mkdir(parents=True)
        (self.root / "opt").mkdir()
        self.file = self.root / "etc/motd"
        self.file.write_text("as baked")
        manifest = folder / "manifest.jsonl"
        bake(str(self.root), "web", "1", Policy.of(()), str(manifest))
        config = Config(
            agent=AgentOptions(state_dir=str(folder)),
            image=ImageOptions(root=str(self.root), manifest=str(manifest), scan_interval=3600.0),
        )
        outputs = [OutputOptions(url="http://127.0.0.1:9")]
        self.spool = Spool.open(str(folder / "spool.db"), SpoolOptions(), outputs, SystemClock())
        self.recorder = Recorder(self.spool.put, {})
        self.recorder.identify(IDENTITY)
        self.said = Condition()
        self.reports = self.items = 0
        self.spooled_at = 0.0
        store = StateStore.open(str(folder / "state.db"), "m", "", print)
        clock = SystemClock()
        knowledge = Knowledge(store, print, clock.time_ns())
        announcer = Announcer(config, IDENTITY, knowledge, clock, self.emit)
        self.detector = Detector(
            config.image, lambda: open_comparison(config, folder), knowledge, announcer, clock, lambda _: None
        )
        self.detector._announcer._reporter._bucket._refill = 0.01  # noqa: SLF001
        self.stop = Event()
        self.thread = Thread(target=self.detector.run, args=(self.stop,))
        self.thread.start()

    def emit(self, points: Sequence[Point]) -> None:
        self.recorder.record("drift", points)
        with self.said:
            self.spooled_at = time.monotonic()
            self.reports += any(point.fields.get("state", "pending") != "pending" for point in points)
            self.items += any(point.measurement == "drift_item" for point in points)
            self.said.notify_all()

    def write(self, number: int) -> float:
        """Seconds from a write until its item is in the spool."""
        before, began = self.items, time.monotonic()
        self.file.write_text(f"{number}\n")
        with self.said:
            if not self.said.wait_for(lambda: self.items > before, PATIENCE):
                raise SystemExit("a write was not found")
            return self.spooled_at - began

    def scan_something_huge(self) -> None:
        with (self.root / "opt/huge").open("w") as file:
            file.truncate(300 << 30)
        with self.said:
            self.said.wait_for(lambda: self.items > 0, PATIENCE)
        self.detector._schedule.rescan(0.0)  # noqa: SLF001
        self.detector.wake()

    def end(self) -> float:
        """Seconds until its threads have ended and its last word is in the spool."""
        began = time.monotonic()
        self.stop.set()
        self.detector.wake()
        self.thread.join()
        self.detector.last_word("stopped")
        took = time.monotonic() - began
        self.detector.close()
        self.spool.close()
        return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writes", type=int, default=200)
    parser.add_argument("--while-scanning", action="store_true")
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        with bench.said:
            bench.said.wait_for(lambda: bench.reports > 0, PATIENCE)
        if options.while_scanning:
            bench.scan_something_huge()
        took = sorted(bench.write(number) for number in range(options.writes))
        for what, seconds in (
            ("median", took[len(took) // 2]),
            ("p99", took[len(took) * 99 // 100]),
            ("worst", took[-1]),
        ):
            print(f"in the spool, {what}: {seconds * 1000:.0f} ms, {seconds / QUIET_SECONDS:.1f} times the wait")
        print(f"end: {bench.end() * 1000:.0f} ms")


if __name__ == "__main__":
    main()
