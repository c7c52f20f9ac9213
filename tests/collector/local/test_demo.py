"""`drift demo`, as a user runs it: real agents, a real collector, and nothing left behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil

from waiting import PATIENCE


def test_the_demo_flags_exactly_the_machine_that_was_changed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", "from drift_collector.cli import main; main()", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    states = {name: state for state, name in re.findall(r"^(DRIFTED|CLEAN) +(web-\d) ", done.stdout, re.MULTILINE)}
    assert states == {"web-1": "CLEAN", "web-2": "DRIFTED", "web-3": "CLEAN"}
    for item in (
        "modified file /etc/ssh/sshd_config",
        "added file /etc/systemd/system/backdoor.service",
        "removed file /etc/cron.d/rotate",
        "+PermitRootLogin yes",
    ):
        assert item in done.stdout
    assert list(tmp_path.iterdir()) == []
    left = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(tmp_path) in " ".join(process.info["cmdline"] or [])
    ]
    assert not left
