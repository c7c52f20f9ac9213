"""Which request each server wants. Pure.

| server | probe `GET /ping` | write |
|---|---|---|
| InfluxDB 1.x, openGemini | 204, `X-Influxdb-Version` or `X-Geminidb-Version` | `/write?db&precision=ns` |
| InfluxDB 2.x | 204, `X-Influxdb-Version` | the same, or with an `org` `/api/v2/write?org&bucket&precision=ns` |
| InfluxDB 3.x | 200, JSON with `version` | `/api/v3/write_lp?db&precision=nanosecond&accept_partial=true` |
| drift serve, VictoriaMetrics | 204 or anything else | as 1.x, or with an `org` as 2.x |
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from drift_agent.config import OutputOptions

VERSION_HEADERS: Final = ("x-influxdb-version", "x-geminidb-version")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. Header names are lower case; `body` is what was read of it, at most the client's limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0

    @property
    def version(self) -> str:
        """What the version headers say, empty where there are none."""
        return next((self.headers[name] for name in VERSION_HEADERS if name in self.headers), "")

    def document(self) -> dict[str, object]:
        """The body as a JSON object; empty where it is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Server:
    """What a probe showed. `version` is what its header said (empty: it has none); `is_v3` that it is InfluxDB 3."""

    version: str = ""
    is_v3: bool = False


def server_of(answer: Answer) -> Server:
    """What answered `GET /ping`."""
    version = answer.document().get("version")
    if answer.status == 200 and isinstance(version, str) and version.startswith("3."):
        return Server(version[:40], is_v3=True)
    return Server(answer.version[:40])


def write_path(options: OutputOptions, server: Server) -> str:
    """Path and query of a write, times in ns."""
    bucket = options.bucket or options.database
    if server.is_v3:
        return "/api/v3/write_lp?" + urlencode({"db": bucket, "precision": "nanosecond", "accept_partial": "true"})
    if options.org:
        return "/api/v2/write?" + urlencode({"org": options.org, "bucket": bucket, "precision": "ns"})
    return "/write?" + urlencode({"db": bucket, "precision": "ns"})


def authorization(options: OutputOptions, secret: str) -> str:
    """The Authorization header; empty where nothing was configured. `secret` is the token, or the user's password."""
    if options.username:
        pair = f"{options.username}:{secret}".encode()
        return "Basic " + base64.b64encode(pair).decode()
    return f"Token {secret}" if secret else ""
