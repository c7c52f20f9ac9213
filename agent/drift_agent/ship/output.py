"""One output as a place to send to: its server's kind, its credentials, one write at a time."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final

from drift_agent.clock import Clock
from drift_agent.config import OutputOptions
from drift_agent.errors import ConfigError
from drift_agent.files import read_secret
from drift_agent.ship.answers import Later, Outcome, Refused, classify
from drift_agent.ship.http import HttpClient, UnreachableError
from drift_agent.ship.influx import Answer, Server, authorization, server_of, write_path

_Stamp = tuple[int, int, int]
_NO_FILE: Final[_Stamp] = (0, 0, 0)
_LEAST_SECRET: Final = 6
"""Servers may quote what they refuse: a secret of so many characters is taken out of an answer. A shorter one is none,
and might stand in any word."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one write, and how long it took (s)."""

    outcome: Outcome
    seconds: float = 0.0


class Output:
    """Sends bodies to one server. For one thread; `abort` may come from any."""

    def __init__(self, options: OutputOptions, http: HttpClient, clock: Clock) -> None:
        self._options = options
        self._http = http
        self._clock = clock
        self._server: Server | None = None
        self._secret = options.token
        self._secret_file = os.path.expandvars(options.password_file or options.token_file)
        self._secret_stamp: _Stamp | None = None
        self._secret_read = not self._secret_file
        self.clock_offset = 0.0
        """The server's clock minus ours (s), by the Date header of its last answer; exact to a second."""

    @property
    def options(self) -> OutputOptions:
        return self._options

    @property
    def server(self) -> str:
        """What the server says that it is, empty where it does not or was not asked yet."""
        return self._server.version if self._server else ""

    def send(self, body: Sequence[bytes], lines: Callable[[], Sequence[bytes]]) -> Sent:
        """One write of `body` (in parts); `lines` are its lines, asked for where the answer speaks of them."""
        try:
            headers = self._headers()
        except ConfigError as error:
            return Sent(Refused(str(error)))
        try:
            server = self._server or self._probe(headers)
            answer = self._http.exchange("POST", write_path(self._options, server), headers, body)
        except UnreachableError as error:
            return Sent(Later(str(error)))
        self._note_clock(answer)
        for secret in (self._secret, headers.get("Authorization", "").partition(" ")[2]):
            if len(secret) >= _LEAST_SECRET and secret.encode() in answer.body:
                answer = replace(answer, body=answer.body.replace(secret.encode(), b"[redacted]"))
        outcome = classify(answer, lines, server, self._clock.time_ns())
        if isinstance(outcome, Refused) or (answer.version and answer.version != server.version):
            self._server = None  # another server may stand there now: asked anew before the next write
        return Sent(outcome, answer.seconds)

    def secret_changed(self) -> bool:
        """Whether the file of the token or password is another one than when it was read, or tried, last."""
        return bool(self._secret_file) and _stamp(self._secret_file) != self._secret_stamp

    def abort(self) -> None:
        """Ends the exchange under way, and lets no other begin."""
        self._http.abort("the agent stops")

    def close(self) -> None:
        self._http.close()

    def _headers(self) -> dict[str, str]:
        if self.secret_changed() or not self._secret_read:
            self._secret_stamp, self._secret_read = _stamp(self._secret_file), False
            self._secret = read_secret(self._secret_file)
            self._secret_read = True
        if not (self._options.username or (self._secret.isascii() and self._secret.isprintable())):
            # The HTTP library would say so too, and quote it.
            raise ConfigError(f"{self._secret_file or 'token'}: a token must be one line of printable ASCII")
        value = authorization(self._options, self._secret)
        return {"Authorization": value} if value else {}

    def _probe(self, headers: dict[str, str]) -> Server:
        """Asks what stands there. Whatever answers is something: only silence raises UnreachableError."""
        self._server = server_of(self._http.exchange("GET", "/ping", headers))
        return self._server

    def _note_clock(self, answer: Answer) -> None:
        try:
            theirs = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        # The header is cut to whole seconds, and was written half an exchange ago.
        self.clock_offset = theirs + 0.5 + answer.seconds / 2 - self._clock.time_ns() / 1e9


def _stamp(path: str) -> _Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return _NO_FILE
    return status.st_ctime_ns, status.st_ino, status.st_size
