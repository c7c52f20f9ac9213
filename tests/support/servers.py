"""Real servers for the tests: on free loopback ports, with data folders of their own, stopped by process id.

The fixtures that give them are in `tests/conftest.py`. Data and port outlast `stop()` and `start()`; the folder goes
with `close()`.
"""

import itertools
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

import requests

from waiting import PATIENCE, wait_until

_given: Final[set[int]] = set()
"""Every port that this run was told of: no two servers get the same."""


class ServerError(AssertionError):
    """A server did not come up, or refused what a test needs from it; holds the end of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listened a moment ago, and that the kernel gives to nobody by itself.

    A server that comes back to its port must not find the other end of some connection there.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = secrets.choice(range(10_000, first)) if first > 11_000 else 0
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
        if found not in _given:
            _given.add(found)
            return found


class Server(ABC):
    """A program that listens on `url`. A context manager: started on entry, stopped and wiped on exit."""

    name: str
    ping_path = "/ping"

    def __init__(self, program: str) -> None:
        self.program = program
        self._home = tempfile.TemporaryDirectory(prefix=f"driftline-{self.name}-")
        self.home = Path(self._home.name)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy stands between a test and its server
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, the same after a restart."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> str:
        """The end of what the server has printed."""
        path = self.home / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    @abstractmethod
    def arguments(self) -> list[str]:
        """The arguments of the program; may write configuration into `home`."""

    def set_up(self) -> None:
        """What is done once, after the first start."""
        return

    def start(self) -> Self:
        """Returns when the server answers.

        Raises:
            ServerError: it ended, or did not answer in time.
        """
        if self._process is not None:
            return self
        environ = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.program, *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                env={**environ, "HOME": str(self.home)},
            )
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServerError(f"{self.name} did not come up on {self.url}; its log ends:\n{self.log}")
            time.sleep(0.02)
        return self

    def answers(self) -> bool:
        """Whether it serves requests now."""
        try:
            return self._http.get(self.url + self.ping_path, timeout=10).status_code in (200, 204)
        except requests.RequestException:
            return False

    def stop(self) -> None:
        """Asks it to end; kills it when it does not. Nothing listens on the port afterwards."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> Self:
        """Stopped and started again on the same port and data."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Stops it and deletes its data."""
        self.stop()
        self._http.close()
        self._home.cleanup()

    def __enter__(self) -> Self:
        try:
            self.start()
            self.set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request to the server, with a timeout; no status is an error here."""
        options.setdefault("timeout", PATIENCE)
        return self._http.request(method, self.url + path, **options)

    def demand(self, method: str, path: str, **options: Any) -> requests.Response:
        """`request`, and `ServerError` for a status of 400 and above."""
        response = self.request(method, path, **options)
        if response.status_code >= 400:
            raise ServerError(f"{self.name}: {method} {path}: {response.status_code} {response.text[:500]}")
        return response

    def new_name(self) -> str:
        """A name that no other test of this server has."""
        return f"test_{next(self._numbers)}"


class InfluxQLServer(Server):
    """A server that has `/write` and `/query`."""

    def headers(self) -> Mapping[str, str]:
        """What lets a request in."""
        return {}

    def new_database(self) -> str:
        """The name of a fresh, empty database."""
        name = self.new_name()
        self.query(f'CREATE DATABASE "{name}"')
        return name

    def write(self, lines: Iterable[str], database: str) -> None:
        """Writes line protocol with times in ns."""
        self.demand(
            "POST",
            "/write",
            params={"db": database, "precision": "ns"},
            data="\n".join(lines).encode(),
            headers=dict(self.headers()),
        )

    def query(self, query: str, database: str = "") -> list[dict[str, Any]]:
        """The series of all statements' answers: `name`, `tags`, `columns`, `values`; times in ns.

        Raises:
            ServerError: an error of the request, or of one statement.
        """
        parameters = {"q": query, "db": database, "epoch": "ns"}
        response = self.demand("POST", "/query", data=parameters, headers=dict(self.headers()))
        results = json.loads(response.content).get("results", [])
        errors = [result["error"] for result in results if "error" in result]
        if errors:
            raise ServerError(f"{self.name}: {query}: {errors[0]}")
        return [series for result in results for series in result.get("series", [])]

    def rows(self, query: str, database: str = "") -> list[dict[str, Any]]:
        """The rows of all series, each with its tags and columns by name."""
        return [
            {**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))}
            for series in self.query(query, database)
            for values in series["values"]
        ]


class Influxd1(InfluxQLServer):
    """InfluxDB 1.x (Debian has 1.6.7). With `auth`, `username` and `password` are an administrator's."""

    name = "influxd1"
    username = "admin"
    password = "correct horse"

    def __init__(self, program: str, *, auth: bool = False) -> None:
        super().__init__(program)
        self.auth = auth
        self._rpc_port = free_port()

    def arguments(self) -> list[str]:
        data, wal, meta = (json.dumps(str(self.home / folder)) for folder in ("data", "wal", "meta"))
        config = self.home / "influxdb.conf"
        config.write_text(
            f"""reporting-disabled = true
bind-address = "127.0.0.1:{self._rpc_port}"
[meta]
  dir = {meta}
[data]
  dir = {data}
  wal-dir = {wal}
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{self.port}"
  auth-enabled = {str(self.auth).lower()}
  log-enabled = false
"""
        )
        return ["run", "-config", str(config)]

    def set_up(self) -> None:
        if self.auth:
            self.query(f"CREATE USER {self.username} WITH PASSWORD '{self.password}' WITH ALL PRIVILEGES")

    def query(self, query: str, database: str = "") -> list[dict[str, Any]]:
        """As the administrator, where there is one."""
        if self.auth:
            self._http.auth = (self.username, self.password)
        return super().query(query, database)


class Influxd2(InfluxQLServer):
    """InfluxDB 2.x, set up with an organisation, a bucket and an operator's token."""

    name = "influxd2"
    org = "driftline"
    bucket = "driftline"
    token = "operator-token-of-the-tests"

    def arguments(self) -> list[str]:
        return [
            "run",
            f"--bolt-path={self.home / 'bolt'}",
            f"--engine-path={self.home / 'engine'}",
            f"--sqlite-path={self.home / 'sqlite'}",
            f"--http-bind-address=127.0.0.1:{self.port}",
            "--reporting-disabled",
        ]

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Token {self.token}"}

    def set_up(self) -> None:
        account = {"username": "admin", "password": "correct horse battery"}
        first = {**account, "org": self.org, "bucket": self.bucket, "token": self.token}
        self.demand("POST", "/api/v2/setup", json=first)

    def new_database(self) -> str:
        """The name of a fresh bucket; `/write` and `/query` take it as the database."""
        name = self.new_name()
        bucket = {"orgID": self.org_id(), "name": name, "retentionRules": []}
        self.demand("POST", "/api/v2/buckets", json=bucket, headers=dict(self.headers()))
        return name

    def org_id(self) -> str:
        """The id of `org`."""
        found = self.demand("GET", "/api/v2/orgs", params={"org": self.org}, headers=dict(self.headers())).json()
        identity: str = found["orgs"][0]["id"]
        return identity

    def new_token(self, *actions: str) -> str:
        """A token that may `read`, `write`, or both, in every bucket of the organisation."""
        org = self.org_id()
        permissions = [{"action": action, "resource": {"type": "buckets", "orgID": org}} for action in actions]
        wanted = {"orgID": org, "permissions": permissions}
        made = self.demand("POST", "/api/v2/authorizations", json=wanted, headers=dict(self.headers())).json()
        token: str = made["token"]
        return token


class OpenGemini(InfluxQLServer):
    """openGemini's single-node server.

    It holds 16 databases, so the oldest of the tests' are dropped; and what it has acknowledged shows a moment later
    where series or shard are new, so `write` returns when all of it shows.
    """

    name = "opengemini"

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self._ports = [free_port() for _ in range(5)]
        self._points: dict[str, dict[str, set[tuple[str, str]]]] = {}

    def new_database(self) -> str:
        if len(self._points) >= 8:
            oldest = next(iter(self._points))
            self.query(f'DROP DATABASE "{oldest}"')
            del self._points[oldest]
        name = super().new_database()
        self._points[name] = {}
        return name

    def write(self, lines: Iterable[str], database: str) -> None:
        written = [line for text in lines for line in text.splitlines() if line]
        super().write(written, database)
        points = self._points.setdefault(database, {})
        for line in written:
            series = re.split(r"(?<!\\) ", line, maxsplit=1)[0]
            points.setdefault(series.split(",")[0], set()).add((series, line.rpartition(" ")[2]))
        for measurement, wanted in points.items():
            self._wait_for(measurement, len(wanted), database)

    def _wait_for(self, measurement: str, count: int, database: str) -> None:
        def shown() -> bool:
            answer = self.request("POST", "/query", data={"q": f'SELECT * FROM "{measurement}"', "db": database})
            (result,) = answer.json()["results"]
            return sum(len(series["values"]) for series in result.get("series", [])) >= count

        wait_until(shown, what=f"all that was written of {measurement}")

    def arguments(self) -> list[str]:
        meta, meta_http, meta_rpc, ingest, select = (f"127.0.0.1:{port}" for port in self._ports)
        config = self.home / "openGemini.conf"
        config.write_text(
            f"""[common]
  meta-join = ["{meta_rpc}"]
  report-enable = false
  pprof-enabled = false
[meta]
  bind-address = "{meta}"
  http-bind-address = "{meta_http}"
  rpc-bind-address = "{meta_rpc}"
  dir = "{self.home}/meta"
[http]
  bind-address = "127.0.0.1:{self.port}"
  flight-enabled = false
[data]
  store-ingest-addr = "{ingest}"
  store-select-addr = "{select}"
  store-data-dir = "{self.home}/data"
  store-wal-dir = "{self.home}/data"
  store-meta-dir = "{self.home}/meta"
[logging]
  path = "{self.home}/logs"
[gossip]
  enabled = false
[monitor]
  store-enabled = false
"""
        )
        return ["-config", str(config)]


class VictoriaMetrics(Server):
    """VictoriaMetrics: takes `/write` and `/api/v2/write`, drops strings, answers PromQL."""

    name = "victoria-metrics"
    ping_path = "/health"

    def arguments(self) -> list[str]:
        return [
            f"-storageDataPath={self.home / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=10y",
            "-memory.allowedPercent=5",
            "-loggerLevel=WARN",
        ]

    def series(self, selector: str) -> list[dict[str, Any]]:
        """Every stored series that matches, as `/api/v1/export` gives it: `metric`, `values`, `timestamps` (ms).

        `cpu`'s `usage_idle` is `{__name__="cpu_usage_idle"}` there. What was written in the last second may not show
        yet: ask with `wait_until`.
        """
        self.demand("GET", "/internal/force_flush")
        body = self.demand("GET", "/api/v1/export", params={"match[]": selector}).text
        return [json.loads(line) for line in body.splitlines()]
