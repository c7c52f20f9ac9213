"""A real nginx, a real agent that is killed, a real InfluxDB: every request is counted, once."""

import http.client
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import pytest

import need
from servers import Influxd1, free_port
from waiting import PATIENCE, wait_until

SECONDS: Final = 60 if os.environ.get("CI") == "true" else 20
ROTATIONS: Final = 3

NGINX: Final = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{}}
http {{
  access_log {folder}/access.log combined;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location = /ok {{ return 200 "fine"; }}
    location = /moved {{ return 301 /ok; }}
    location = /gone {{ return 404; }}
    location = /broken {{ return 503; }}
  }}
}}
"""
AGENT: Final = """
[agent]
interval = "1s"
state_dir = "{folder}/state"
host = "web-1"
instance = "i-0abc"
[image]
manifest = "{folder}/none.jsonl"
watch = false
[metrics]
disable = ["disk", "processes"]
[[logs]]
path = "{folder}/access.log*"
format = "nginx-combined"
name = "web"
[[outputs]]
url = "{url}"
database = "{database}"
"""
STATUS: Final = {"/ok": "2xx", "/moved": "3xx", "/gone": "4xx", "/broken": "5xx"}


@contextmanager
def process(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output, subprocess.Popen(arguments, stdout=output, stderr=output) as running:
        try:
            yield running
        finally:
            end(running)


def end(running: subprocess.Popen[bytes]) -> None:
    """As a service manager does it; whatever a test found, nothing runs on."""
    running.terminate()
    try:
        running.wait(PATIENCE)
    finally:
        running.kill()
        running.wait()


class Agent:
    """The agent's process, which may be killed and started again; a context manager that ends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.start()

    def start(self) -> None:
        with (self._folder / "agent.log").open("ab") as output:
            command = [sys.executable, "-m", "drift_agent.daemon", str(self._folder / "agent.toml")]
            self._running = subprocess.Popen(command, stdout=output, stderr=output)

    def kill(self) -> None:
        self._running.send_signal(signal.SIGKILL)
        self._running.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self._running)


def answers(port: int) -> bool:
    try:
        http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE).connect()
    except OSError:
        return False
    return True


@pytest.mark.slow
def test_counts_are_exact_through_rotations_and_a_kill(tmp_path: Path, influxd1: Influxd1) -> None:
    program = need.program("nginx", "nginx-light")
    database, port, chance = influxd1.new_database(), free_port(), random.Random(7)
    user = "user root;" if os.geteuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port, user=user))
    (tmp_path / "agent.toml").write_text(AGENT.format(folder=tmp_path, url=influxd1.url, database=database))
    made: Counter[tuple[str, str]] = Counter()
    with process([program, "-c", str(tmp_path / "nginx.conf")], tmp_path / "nginx.log") as nginx:
        wait_until(lambda: answers(port), what="nginx")
        begun = time.monotonic()
        rotated = 0
        with Agent(tmp_path) as agent:
            while rotated < ROTATIONS or time.monotonic() - begun < SECONDS:
                made += _ask(port, chance, 50)
                time.sleep(0.02)  # a server with some air to breathe
                if rotated < ROTATIONS and time.monotonic() - begun > (rotated + 1) * SECONDS / (ROTATIONS + 1):
                    rotated += 1
                    _rotate(tmp_path, nginx.pid, rotated)
                    made += _ask(port, chance, 50)
                    if rotated == 2:
                        agent.kill()
                        made += _ask(port, chance, 50)
                        agent.start()
            wait_until(lambda: _counted(influxd1, database).total() >= made.total(), what="every request in the store")
    assert _counted(influxd1, database) == made


def _ask(port: int, chance: random.Random, count: int) -> Counter[tuple[str, str]]:
    asked: Counter[tuple[str, str]] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for _ in range(count):
        verb, path = chance.choice(["GET", "GET", "HEAD", "BREW"]), chance.choice(list(STATUS))
        connection.request(verb, path)
        connection.getresponse().read()
        asked[verb if verb != "BREW" else "OTHER", STATUS[path]] += 1
    connection.close()
    return asked


def _rotate(folder: Path, nginx: int, number: int) -> None:
    """As logrotate does it: rename, then tell the server."""
    for old in range(number - 1, 0, -1):
        (folder / f"access.log.{old}").rename(folder / f"access.log.{old + 1}")
    (folder / "access.log").rename(folder / "access.log.1")
    os.kill(nginx, signal.SIGUSR1)


def _counted(influxd: Influxd1, database: str) -> Counter[tuple[str, str]]:
    rows = influxd.rows('SELECT sum("requests") FROM "access" GROUP BY "verb", "status"', database)
    return Counter({(row["verb"], row["status"]): row["sum"] for row in rows})
