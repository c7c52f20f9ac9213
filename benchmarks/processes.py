"""Programs that are measured from outside while they run."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def processor_seconds(pid: int) -> float:
    """Time that all threads of a process have spent on a processor, and its children that have ended."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue
    ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
    return total / 1e9 + sum(map(int, ended)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def started(arguments: list[str]) -> Iterator[int]:
    """A process with these arguments; ended at the end."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
