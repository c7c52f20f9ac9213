"""SIGKILL at any moment, with a server that comes and goes: every point that was ever in the spool is stored, once."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import spool_writer
from servers import Influxd1
from waiting import PATIENCE, wait_until

ROUNDS = int(os.environ.get("DRIFTLINE_KILLS", "12"))


@pytest.mark.slow
def test_no_kill_costs_a_point(tmp_path: Path, fresh_influxd1: Influxd1) -> None:
    server, database = fresh_influxd1, fresh_influxd1.new_database()
    chance = random.Random(20_261_123)

    def start(first: int, last: int) -> subprocess.Popen[bytes]:
        arguments = [str(tmp_path), server.url, database, str(first), str(last)]
        return subprocess.Popen([sys.executable, str(Path(spool_writer.__file__)), *arguments])

    for round_ in range(ROUNDS):
        agent = start(round_ * 1_000_000, round_ * 1_000_000 + 999_999)
        begun = (tmp_path / "put").stat().st_size if (tmp_path / "put").exists() else 0

        def has_put(agent: subprocess.Popen[bytes] = agent, begun: int = begun) -> bool:
            assert agent.poll() is None
            return (tmp_path / "put").exists() and (tmp_path / "put").stat().st_size > begun

        wait_until(has_put, what="a point in the spool")
        if chance.random() < 0.3:
            server.kill() if chance.random() < 0.5 else server.stop()
        time.sleep(chance.uniform(0.0, 0.5))  # the random instant is what is tested
        agent.kill()
        agent.wait()
        if server.pid is None and chance.random() < 0.7:
            server.start()
    server.start()
    assert start(1, 0).wait(3 * PATIENCE) == 0

    put = {int(text) for text in (tmp_path / "put").read_text().split()}
    rows = server.rows('SELECT "value" FROM "kill"', database)
    stored = [int(row["value"]) for row in rows]
    assert len(stored) == len(set(stored))
    assert put <= set(stored)
    # More than was noted may be there: a kill between the spool's commit and the note.
    assert len(set(stored) - put) <= 5 * ROUNDS
    print(f"{ROUNDS} kills, {len(put)} points")
