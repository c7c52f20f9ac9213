"""Scanning: a full check and an unchanged rescan of a large tree, as multiples of what the system's own tools take.

    python benchmarks/scan.py [--root DIR] [--rounds 3]

Without `--root` it makes 117,000 files in 22,000 folders (5.5 GB) below the temporary folder. Every run is a process
of its own, in turn with its yardstick; the smallest of each counts. CPU ratios stand beside those of the clock, for a
machine that does other work too.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

OPENSSL = "find {root} -xdev -type f -print0 | xargs -0 -P2 -n 200 openssl dgst -sha256 >/dev/null"
DU = "du -s {root} >/dev/null"

CHECK = """
import sys, time
from drift_agent.drift.check import check_tree
from drift_agent.image.manifest import Manifest
root, manifest, cache = sys.argv[1:4]
with Manifest.open(manifest) as opened:
    result = check_tree(root, opened, cache=cache or None)
    assert not result.changes and not result.unreadable, result.changes[:3]
    assert result.observed == opened.header.digest
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(result.scanned, int(line.split()[1]))
"""

BAKE = """
import sys
from drift_agent.image.bake import bake
from drift_agent.image.policy import Policy, Rule
bake(sys.argv[1], "bench", "", Policy.of([Rule("/**/__pycache__/***", "ignored")], kinds=["file"]), sys.argv[2])
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One process: seconds by the clock, seconds of CPU (its children's too), what it printed."""

    seconds: float
    cpu: float
    said: str


def run(command: Sequence[str]) -> Run:
    """Runs a command to its end."""
    before, began = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, after = time.perf_counter() - began, getrusage(RUSAGE_CHILDREN)
    return Run(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, said)


def make_tree(root: Path, folders: int = 22_000, files: int = 117_000) -> None:
    """Files of a server's sizes: most small, some large, 5.5 GB in all."""
    chance = random.Random(7)
    block = chance.randbytes(8 << 20)
    paths = [root / f"{number % 40}" / f"{number % 700}" / f"folder{number}" for number in range(folders)]
    for path in paths:
        path.mkdir(parents=True)
    for number in range(files):
        size = min(len(block), int(chance.lognormvariate(9.15, 1.75)))
        start = chance.randrange(len(block) - size + 1)
        (paths[number * 7919 % folders] / f"file{number}").write_bytes(block[start : start + size])


def compare(name: str, ours: Sequence[str], theirs: str, root: str, rounds: int) -> None:
    """Prints one line: our smallest time as a multiple of theirs."""
    yardstick = ["sh", "-c", theirs.format(root=root)]
    pairs = [(run(yardstick), run(ours)) for _ in range(rounds)]
    their_seconds, our_seconds = (min(pair[side].seconds for pair in pairs) for side in (0, 1))
    their_cpu, our_cpu = (min(pair[side].cpu for pair in pairs) for side in (0, 1))
    items, peak = pairs[-1][1].said.split()
    print(
        f"{name}: {our_seconds / their_seconds:.2f} x the clock ({our_seconds:.2f} s to {their_seconds:.2f}), "
        f"{our_cpu / their_cpu:.2f} x the CPU, {items} items, peak {int(peak) / 1024:.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = options.root or f"{folder}/tree"
        if options.root is None:
            make_tree(Path(root))
        manifest, cache = f"{folder}/manifest.jsonl", f"{folder}/cache"
        run([sys.executable, "-c", BAKE, root, manifest])
        full = [sys.executable, "-c", CHECK, root, manifest, ""]
        rescan = [sys.executable, "-c", CHECK, root, manifest, cache]
        compare("full check, of openssl in two processes", full, OPENSSL, root, options.rounds)
        time.sleep(61.0)  # what was made a moment ago is trusted only later
        run(rescan)
        compare("unchanged rescan, of du", rescan, DU, root, options.rounds * 2)


if __name__ == "__main__":
    main()
