"""A burst of file events: how much of a core an agent takes for it, and for how long.

    python benchmarks/burst.py [--folders 10000] [--rounds 3]

The agent is a process of its own and watches a tree of that many folders with a file in each; another process writes
each file and sets its times, that many rounds (of three events a file at least). CPU is what all threads of the agent
spent on processors (/proc/PID/task/*/schedstat), its share is of one core over half a second. It is over when a second
passed with less than a tenth. Beside it stands what one complete scan of the tree takes in CPU.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from drift_agent.image.bake import bake
from drift_agent.image.policy import Policy
from drift_agent.status import ask_agent
from processes import processor_seconds, started

SLOT_SECONDS = 0.5
IDLE_SHARE = 0.1
PATIENCE = 120.0

BURST = """
import os, sys
for turn in range(int(sys.argv[3])):
    for number in range(int(sys.argv[2])):
        path = f"{sys.argv[1]}/{number // 100}/{number % 100}/file"
        with open(path, "w") as file:
            file.write("as baked")
        os.utime(path)
"""

CONFIG = """
[agent]
state_dir = "{folder}/state"
[image]
root = "{folder}/root"
manifest = "{folder}/manifest.jsonl"
scan_interval = "1h"
[[outputs]]
url = "http://127.0.0.1:9"
"""


def make_tree(folder: Path, folders: int) -> None:
    """A root with that many watched folders, baked."""
    for number in range(folders):
        place = folder / "root/srv" / f"{number // 100}" / f"{number % 100}"
        place.mkdir(parents=True)
        (place / "file").write_text("as baked")
    bake(str(folder / "root"), "bench", "1", Policy.of([]), str(folder / "manifest.jsonl"))
    (folder / "agent.toml").write_text(CONFIG.format(folder=folder))


def wait_until_idle(pid: int, busy: "subprocess.Popen[bytes] | None" = None) -> tuple[float, list[float]]:
    """CPU seconds until the agent was idle for a second (after `busy` ended), and its share in every slot."""
    first = last = processor_seconds(pid)
    shares: list[float] = []
    at = time.monotonic()
    deadline = at + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(SLOT_SECONDS)
        now, then = processor_seconds(pid), time.monotonic()
        shares.append((now - last) / (then - at))
        last, at = now, then
        if (busy is None or busy.poll() is not None) and len(shares) > 2 and max(shares[-2:]) < IDLE_SHARE:
            return now - first, shares
    raise SystemExit(f"the agent was not idle after {PATIENCE:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_tree(folder, options.folders)
        with started([sys.executable, "-I", "-m", "drift_agent.daemon", str(folder / "agent.toml")]) as pid:
            first, _ = wait_until_idle(pid)
            scan = float(ask_agent(str(folder / "state"))["drift"]["scan_seconds"])
            arguments = [str(folder / "root/srv"), str(options.folders), str(options.rounds)]
            burst = subprocess.Popen([sys.executable, "-c", BURST, *arguments])
            began = time.monotonic()
            used, shares = wait_until_idle(pid, burst)
            took = time.monotonic() - began - 2 * SLOT_SECONDS
    print(f"start and first scan: {first:.1f} s of CPU (the scan: {scan:.1f} s)")
    events = options.folders * options.rounds * 3
    print(f"burst of {events} events: {used:.1f} s of CPU in {took:.1f} s, {used / scan:.1f} first scans")
    print(f"of a core: at most {max(shares):.2f}, {sum(shares) / len(shares):.2f} on average")


if __name__ == "__main__":
    main()
