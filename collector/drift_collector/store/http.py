"""What the stores that are asked over HTTP share: one exchange with a deadline, answers read line by line, bounded."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth

from drift_agent.errors import ConfigError, StoreError

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 60.0
EXCHANGE_SECONDS: Final = 600.0
_BLOCK: Final = 64 << 10
_LEAST_SECRET: Final = 6
"""A shorter token is none, and might stand in any word."""


class Http:
    """A session with one server. Redirects are never followed: a token goes where it was meant to go."""

    def __init__(self, base: str, headers: dict[str, str] | None = None, auth: tuple[str, str] | None = None) -> None:
        self.base = base.rstrip("/")
        self.name = urlsplit(base).netloc
        self._session = requests.Session()
        self._session.headers.update(headers or {})
        self._session.headers["User-Agent"] = "driftline"
        if auth is not None:
            user, password = (text.encode(errors="surrogateescape") for text in auth)
            self._session.auth = HTTPBasicAuth(user, password)  # requests would take text for Latin-1

    @contextmanager
    def open(self, method: str, path: str, **options: Any) -> Iterator[requests.Response]:  # noqa: ANN401 (requests' own)
        """One answer, its body not yet read, whatever its status.

        Raises:
            StoreError: the server cannot be reached, or falls silent; also while the caller reads the body.
        """
        silent = f"does not answer within {READ_SECONDS:g} s; check the address, and that it is up"
        try:
            with self._session.request(
                method,
                self.base + path,
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                **options,
            ) as response:
                silent = "fell silent in the middle of its answer; try again"
                yield response
        except requests.exceptions.SSLError as error:
            raise StoreError(f"{self.name}: {_tls_reason(error)}") from None
        except requests.exceptions.ConnectTimeout:
            raise StoreError(f"{self.name}: does not answer; check the address, and that it is up") from None
        except requests.exceptions.RequestException as error:
            if isinstance(error, requests.exceptions.Timeout) or "Read timed out" in str(error):  # the latter of a body
                raise StoreError(f"{self.name}: {silent}") from None
            reason = _reason(error)
            tls = reason == _NO_ANSWER and self.base.startswith("http:")
            hint = ", and whether it speaks TLS (https://, influxdbs://)" if tls else ""
            raise StoreError(f"{self.name}: cannot be reached: {reason}; check that it is up{hint}") from None

    def close(self) -> None:
        """Gives the connections back."""
        self._session.close()


def token_of(environ: Mapping[str, str]) -> str:
    """The token of DRIFTLINE_TOKEN, without blanks and newlines around it; empty where there is none.

    Raises:
        ConfigError: it cannot stand in a header; the HTTP library would say so too, and quote it.
    """
    token = environ.get("DRIFTLINE_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise ConfigError("DRIFTLINE_TOKEN: a token must be one line of printable ASCII")
    return token


def lines_of(response: requests.Response, max_line: int) -> Iterator[bytes]:
    """The lines of a body, as they come.

    Raises:
        StoreError: a line is longer than `max_line` bytes, or the whole takes longer than `EXCHANGE_SECONDS`.
    """
    deadline = time.monotonic() + EXCHANGE_SECONDS
    rest: list[bytes] = []
    length = 0
    for block in response.iter_content(_BLOCK):
        if time.monotonic() > deadline:
            raise StoreError(f"the answer took longer than {EXCHANGE_SECONDS:g} s; ask for less")
        head, newline, tail = block.partition(b"\n")
        while newline:
            yield b"".join([*rest, head])
            rest, length = [], 0
            head, newline, tail = tail.partition(b"\n")
        rest.append(head)
        length += len(head)
        if length > max_line:
            raise StoreError("the answer holds a line that is too long to be an honest one")
    if length:
        yield b"".join(rest)


def text_of(response: requests.Response, limit: int = 4_000) -> str:
    """A short body: its first `limit` bytes, bytes that are not UTF-8 replaced, and our own token left out.

    There are servers that quote what they refuse.
    """
    text = bytearray()
    for block in response.iter_content(min(limit, _BLOCK)):
        text += block
        if len(text) >= limit:
            break
    shown = bytes(text[:limit]).decode(errors="replace")
    secret = response.request.headers.get("Authorization", "").partition(" ")[2]
    return shown.replace(secret, "[redacted]") if len(secret) >= _LEAST_SECRET else shown


def answered(name: str, status: int, said: str) -> str:
    """A sentence on an answer that is none of those that are known."""
    if 300 <= status < 400:
        return f"{name}: redirects ({status}), and redirects are not followed; give the final address"
    return f"{name}: answers {status}: {said or 'nothing'}"


_NO_ANSWER: Final = "it gave no answer"


def _tls_reason(error: Exception) -> str:
    text = str(error)
    if "WRONG_VERSION_NUMBER" in text:
        return "speaks no TLS; write http:// or influxdb://"
    said = re.search(r"certificate verify failed: ([^(\"']+)", text)
    why = said.group(1).strip() if said else text[:200]
    return f"its certificate cannot be trusted: {why}; name its CA in REQUESTS_CA_BUNDLE"


def _reason(error: Exception) -> str:
    """The innermost sentence of requests' nested errors, without addresses of objects."""
    text = str(error)
    for name, sentence in (("BadStatusLine", "its answer is no HTTP"), ("RemoteDisconnected", _NO_ANSWER)):
        if name in text:
            return sentence
    for mark in ("[Errno ", "Errno "):
        if mark in text:
            return text[text.index(mark) :].split("]", 1)[-1].strip(" ')\"") or text[:200]
    return text.rsplit(":", 1)[-1].strip(" ')\"")[:200]
