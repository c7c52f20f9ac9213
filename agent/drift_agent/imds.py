"""The instance metadata service of EC2, version 2 only. Every answer is bounded in size and time.

Source of the paths: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

import http.client
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

HOST: Final = "169.254.169.254"
TOKEN_TTL_SECONDS: Final = 300
REQUEST_SECONDS: Final = 1.0
MAX_ANSWER_BYTES: Final = 64 << 10

Fetch: TypeAlias = Callable[[str, str, Mapping[str, str], float], bytes | None]
"""(method, path, headers, timeout in s) → the body of a 200, else None; OSError when the service is not reached."""


def fetch_link_local(method: str, path: str, headers: Mapping[str, str], timeout: float) -> bytes | None:
    """One request to the link-local address; past any proxy, and without following redirects."""
    return fetch_from(HOST, 80, method, path, headers, timeout)


def fetch_from(
    host: str, port: int, method: str, path: str, headers: Mapping[str, str], timeout: float
) -> bytes | None:
    """The same to another address, for tests and for metadata services that listen elsewhere."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        if answer.status != 200:
            return None
        body = answer.read(MAX_ANSWER_BYTES + 1)
        return body if len(body) <= MAX_ANSWER_BYTES else None
    except http.client.HTTPException as error:
        raise OSError(f"metadata service: {type(error).__name__}") from None
    finally:
        connection.close()


class Session:
    """Questions to the service under one token and one deadline (`monotonic` seconds). Never raises."""

    def __init__(self, fetch: Fetch, deadline: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._deadline = deadline
        self._monotonic = monotonic
        self._token = self._ask(
            "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": f"{TOKEN_TTL_SECONDS}"}
        )

    def get(self, path: str) -> str | None:
        """The text at `/latest/` + `path`; None where there is none, or no token, it is no ASCII, or time is up."""
        if not self._token:
            return None
        return self._ask("GET", "/latest/" + path, {"X-aws-ec2-metadata-token": self._token})

    def _ask(self, method: str, path: str, headers: Mapping[str, str]) -> str | None:
        left = self._deadline - self._monotonic()
        if left <= 0:
            return None
        try:
            body = self._fetch(method, path, headers, min(REQUEST_SECONDS, left))
            text = body.decode("ascii").strip() if body is not None else ""
        except (OSError, UnicodeDecodeError):
            return None
        return text if text.isprintable() and text else None
