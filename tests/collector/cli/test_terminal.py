"""`drift report` on a real terminal, and not on one."""

import fcntl
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import time

import pytest
from rich.cells import cell_len

from reports import NOW, drifted, report
from stores import fill
from waiting import PATIENCE

COMMAND = [sys.executable, "-c", "from drift_collector.cli import main; main()", "report"]
SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    now = time.time_ns()
    moved = {"time": now, "scan_at": now, "sealed": NOW}
    path = tmp_path_factory.mktemp("terminal") / "store.db"
    reports = [report("i-1", **moved), drifted("i-0a1b2c3d4e5f60711", host="データベース", logins=3, **moved)]
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "PYTHONPATH")}
    return {**kept, "PYTHONUTF8": "1", "TERM": "xterm-256color", "DRIFTLINE_STORE": fill(str(path), reports)}


def on_terminal(environment: dict[str, str], columns: int) -> str:
    """What the command writes to a terminal of that width."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(COMMAND, stdin=follower, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        written = b""
        while True:
            try:
                block = os.read(leader, 65536)
            except OSError:  # Linux's way of saying that the other end is closed
                break
            if not block:
                break
            written += block
        assert process.wait(timeout=PATIENCE) == 2
    os.close(leader)
    return written.decode()


@pytest.mark.parametrize("columns", [60, 160])
def test_a_terminal_gets_colours_and_no_line_that_it_would_have_to_break(
    environment: dict[str, str], columns: int
) -> None:
    text = on_terminal(environment, columns)
    assert "\x1b[1;31mDRIFTED" in text
    lines = [SGR.sub("", line) for line in text.splitlines()]
    assert max(map(cell_len, lines)) <= columns
    assert ("HOST" in lines[0]) == (columns == 160)


def test_no_color_is_heeded(environment: dict[str, str]) -> None:
    assert "\x1b[1;31m" not in on_terminal({**environment, "NO_COLOR": "1"}, 100)
    assert "\x1b" not in on_terminal({**environment, "TERM": "dumb"}, 100)


def test_a_pipe_gets_plain_whole_lines_however_narrow_the_terminal_says_that_it_is(environment: dict[str, str]) -> None:
    ended = subprocess.run(
        COMMAND,
        capture_output=True,
        encoding="utf-8",
        env={**environment, "COLUMNS": "20"},
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 2
    assert "\x1b" not in ended.stdout
    lines = ended.stdout.splitlines()
    assert lines[1].split()[:3] == ["DRIFTED", "i-0a1b2c3d4e5f60711", "データベース"]
    assert lines[1].endswith("1 modified; 3 logins")
    assert lines[3] == ""
    assert len(lines) == 6


def test_on_a_terminal_a_wait_is_explained(environment: dict[str, str]) -> None:
    """A server that accepts and says nothing is waited for: people are told, after two seconds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = f"http://127.0.0.1:{silent.getsockname()[1]}"
        leader, follower = pty.openpty()
        with subprocess.Popen(COMMAND, stderr=follower, env={**environment, "DRIFTLINE_STORE": store}) as process:
            os.close(follower)
            assert f"waiting for {store}" in os.read(leader, 65536).decode()
            process.kill()
        os.close(leader)
