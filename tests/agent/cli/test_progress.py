"""Ctrl-C while a tree is looked at: the scan ends soon, nothing is half done, and nothing is said but the exit code."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drift_agent.cli.progress import watched
from trees import bake_tree
from waiting import wait_until

NUMBERS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("which", ["progress", "pace"])
def test_a_signal_ends_the_scan_where_that_asks_and_nowhere_else(number: signal.Signals, which: str) -> None:
    before = signal.getsignal(number)
    reached: list[bool] = []

    def look() -> None:
        with watched("checking", None) as scan:
            os.kill(os.getpid(), number)
            reached.append(True)
            while True:
                getattr(scan, which)(1)

    with pytest.raises(KeyboardInterrupt):
        look()
    assert reached
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("command", ["check", "bake"])
def test_a_large_file_is_left_in_the_middle(tmp_path: Path, number: signal.Signals, command: str) -> None:
    """300 GB of nothing, which nobody reads in the time of a test."""
    root = tmp_path / "root"
    root.mkdir()
    bake_tree(root, tmp_path / "manifest.jsonl").close()
    with (root / "large").open("w") as file:
        file.truncate(300 << 30)
    arguments = {
        "check": ["--manifest", str(tmp_path / "manifest.jsonl")],
        "bake": ["--image", "web", "--profile", "generic", "--no-content", "-o", str(tmp_path / "new.jsonl")],
    }
    program = [sys.executable, "-c", "from drift_collector.cli import main; main()"]
    process = subprocess.Popen(
        [*program, "image", command, "--root", str(root), *arguments[command]],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    files = Path(f"/proc/{process.pid}/fd")
    wait_until(lambda: any(os.path.realpath(link) == str(root / "large") for link in files.iterdir()))
    process.send_signal(number)
    assert process.communicate() == ("", "")
    assert process.returncode == 130
    assert sorted(os.listdir(tmp_path)) == ["manifest.jsonl", "root"]
