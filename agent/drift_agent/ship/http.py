"""One HTTP exchange with a deadline for the whole of it, that another thread can end.

requests' timeouts are per read: a server that drips a byte a second would hold a thread for ever. So the connection's
socket is known here, and shut down from outside when its time is over.
"""

import os
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Final

import requests
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from drift_agent import __version__
from drift_agent.config import OutputOptions
from drift_agent.ship.deadline import Watchdog
from drift_agent.ship.influx import Answer
from drift_agent.ship.wire import Wire, WireAdapter

CONNECT_SECONDS: Final = 5.0
EXCHANGE_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 4 << 20


class UnreachableError(Exception):
    """No whole answer came: refused, reset, a timeout, a name that cannot be resolved, a bad certificate."""


class HttpClient:
    """Exchanges with one output: one session, kept alive. For one thread."""

    def __init__(self, options: OutputOptions, watchdog: Watchdog, exchange_seconds: float = EXCHANGE_SECONDS) -> None:
        self._options = options
        self._watchdog = watchdog
        self._seconds = exchange_seconds
        self._aborted = ""
        self._wire = Wire()
        self._session = _session(options, self._wire)

    def exchange(self, method: str, path: str, headers: Mapping[str, str], body: Sequence[bytes] = ()) -> Answer:
        """Sends one request, the parts of `body` gzipped into one; reads the whole answer, up to `MAX_ANSWER_BYTES`.

        Raises:
            UnreachableError: there was no whole answer within the deadline.
        """
        if self._wire.cut_by and not self._aborted:
            self._session.close()
            self._wire = Wire()
            self._session = _session(self._options, self._wire)
        sent = dict(headers)
        packed = None
        if body:
            compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
            packed = b"".join([*map(compressor.compress, body), compressor.flush()])
            sent |= {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}
        if self._aborted:
            raise UnreachableError(self._aborted)
        start = time.monotonic()
        self._watchdog.arm(self._wire.cut, start + self._seconds)
        try:
            answer = self._exchange(method, path, sent, packed, start)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise UnreachableError(self._wire.cut_by or self._why(error)) from error
        finally:
            self._watchdog.disarm()
        if self._wire.cut_by:
            raise UnreachableError(self._wire.cut_by)
        return answer

    def _why(self, error: BaseException) -> str:
        why = _why(error)
        if why == _CLOSED and self._options.url.startswith("http:"):
            return f"{why}: if it speaks TLS, write https:// in url"
        return why

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, start: float) -> Answer:
        response = self._session.request(
            method,
            self._options.url + path,
            data=body,
            headers=headers,
            timeout=(CONNECT_SECONDS, self._seconds),
            allow_redirects=False,
            stream=True,
        )
        try:
            parts, size = [], 0
            # Reading to the end gives the connection back for the next exchange.
            while size < MAX_ANSWER_BYTES and (part := response.raw.read(64 << 10)):
                parts.append(part)
                size += len(part)
        finally:
            if not response.raw.closed:
                response.close()
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, names, b"".join(parts), time.monotonic() - start)

    def abort(self, why: str) -> None:
        """Ends the exchange under way, and every later one, with `UnreachableError`. For any thread."""
        self._aborted = why
        self._wire.cut(why)

    def close(self) -> None:
        self._session.close()


def _session(options: OutputOptions, wire: Wire) -> requests.Session:
    session = requests.Session()
    # requests would take credentials from a .netrc, and a CA bundle that is not the system's.
    session.trust_env = False
    session.proxies = {"all": options.proxy} if options.proxy else dict(get_environ_proxies(options.url))
    session.verify = options.ca_file or system_ca() or True
    if options.cert_file:
        session.cert = (options.cert_file, options.key_file) if options.key_file else options.cert_file
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    # Answers are asked for as they are: what is read of them is bounded, what it inflates to would not be.
    wanted = {"User-Agent": f"driftline/{__version__}", "Accept": "application/json", "Accept-Encoding": "identity"}
    session.headers.update(wanted)
    adapter = WireAdapter(wire)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def system_ca() -> str:
    """The system's CA certificates; empty where they are not in a known place."""
    known = (
        os.environ.get("SSL_CERT_FILE", ""),
        ssl.get_default_verify_paths().cafile or "",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
    )
    return next((path for path in known if path and os.path.isfile(path)), "")


_CLOSED: Final = "connection closed without an answer"
_PLAIN: Final = (
    ("NameResolutionError", "the name cannot be resolved"),
    ("ConnectTimeoutError", f"no connection within {CONNECT_SECONDS:.0f} s"),
    ("ReadTimeoutError", "no answer in time"),
    ("SSLCertVerificationError", "the server's certificate is not trusted: set ca_file"),
    ("RemoteDisconnected", _CLOSED),
    ("IncompleteRead", "the answer was cut off"),
    ("BadStatusLine", "the answer is no HTTP"),
)


_TLS: Final = (
    ("WRONG_VERSION_NUMBER", "it speaks no TLS: write http:// in url"),
    ("NO_CERTIFICATE_OR_CRL_FOUND", "ca_file holds no certificate"),
    ("KEY_VALUES_MISMATCH", "key_file does not belong to cert_file"),
    ("PEM lib", "cert_file or key_file holds no certificate and key in PEM"),
)
"""What OpenSSL calls it, and what to do."""


def _why(error: BaseException) -> str:
    """The shortest true sentence about a failed exchange; requests wraps the cause several times."""
    causes = list(_causes(error))
    names = {type(cause).__name__ for cause in causes}
    for name, sentence in _PLAIN:
        if name in names:
            return sentence
    for mark, sentence in _TLS:
        if any(isinstance(cause, ssl.SSLError) and mark in str(cause) for cause in causes):
            return sentence
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror and cause.errno:
            return cause.strerror.lower()
    return str(causes[-1])[:200] or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it wraps, as far as ten levels down."""
    found: list[BaseException] = [error]
    for cause in found:
        yield cause
        inner = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        found += [one for one in inner if isinstance(one, BaseException) and one not in found and len(found) < 10]
