"""The collector as one thing that is started and stopped: store, application, housekeeping."""

import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.types import ASGIApp

from drift_agent.clock import Clock, SystemClock
from drift_agent.errors import ConfigError, StoreError
from drift_collector.fleet.model import Trusted
from drift_collector.server.app import make_app
from drift_collector.server.auth import is_loopback
from drift_collector.server.body import Limits
from drift_collector.server.listen import open_listener
from drift_collector.store.sqlite import SqliteStore
from drift_collector.store.sqlite_expire import expire
from drift_collector.store.sqlite_write import SqliteWriter
from drift_collector.store.tokens import Tokens

GRACE_SECONDS: Final = 3
CLEAN_SECONDS: Final = 600.0
_DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a collector runs. Durations in seconds."""

    database: str
    host: str = "127.0.0.1"
    port: int = 8087
    """0 is any free one."""
    keep_metrics: float = 7 * _DAY
    keep_drift: float = 90 * _DAY
    require_tokens: bool = False
    """Demand tokens on loopback too; beyond it they always are."""
    tls: tuple[str, str] | None = None
    """Files of the certificate chain and its key."""
    limits: Limits = field(default_factory=Limits)


class Collector:
    """A collector on `url`, from `start` to `close`; a context manager.

    Raises:
        LockHeldError: another server writes that store.
        StoreError: the store cannot be opened.
        ConfigError: the address or the certificate cannot be used.
        DriftlineError: the port is in use.
    """

    def __init__(
        self,
        options: Options,
        clock: Clock | None = None,
        trusted: Callable[[], Mapping[str, Trusted] | None] = lambda: None,
        on_fault: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._options = options
        self._clock = clock or SystemClock()
        self._on_fault = on_fault
        self._listener = open_listener(options.host, options.port)
        port = self._listener.getsockname()[1]
        host = options.host or "127.0.0.1"
        scheme = "https" if options.tls else "http"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        self.stopped = Event()
        """Set when it serves no longer, for whatever reason."""
        self._closers: list[Callable[[], None]] = [self._listener.close]
        try:
            self._writer = SqliteWriter(options.database)
            self._closers.append(self._writer.close)
            store = SqliteStore(options.database)
            self._closers.append(store.close)
            tokens = Tokens(options.database)
            self._closers.append(tokens.close)
            self.tokens_demanded = options.require_tokens or not is_loopback(options.host)
            app = make_app(
                store, self._writer, tokens, self._clock,
                tokens_demanded=self.tokens_demanded, trusted=trusted, limits=options.limits,
            )  # fmt: skip
            self._server = uvicorn.Server(_config(app, options))
        except BaseException:
            self._release()
            raise
        self._threads: list[Thread] = []

    def start(self) -> Self:
        """Serves, in a thread of its own; returns at once: the port is open already."""
        for name, target in (("collector", self._serve), ("housekeeping", self._keep_house)):
            thread = Thread(target=target, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def close(self) -> None:
        """Lets requests under way end (at most some seconds), then gives everything back; may be called twice."""
        # From here on, what is cut off is meant to be.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._server.should_exit = True
        self.stopped.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self.stopped.set()

    def _keep_house(self) -> None:
        options = self._options
        while True:
            now = self._clock.time_ns()
            metrics_before, drift_before = now - _ns(options.keep_metrics), now - _ns(options.keep_drift)
            try:
                expire(self._writer, metrics_before, drift_before, self.stopped)
            except StoreError as error:
                self._on_fault(str(error))
            if self._clock.wait(self.stopped, CLEAN_SECONDS):
                return

    def _release(self) -> None:
        while self._closers:
            self._closers.pop()()


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _config(app: ASGIApp, options: Options) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        log_level="error",  # what is unexpected shows, with its traceback
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=2_000,
        ssl_certfile=options.tls[0] if options.tls else None,
        ssl_keyfile=options.tls[1] if options.tls else None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        files = " and ".join(options.tls or ())
        raise ConfigError(
            f"the certificate or its key cannot be used: {files}: {error.strerror}; check both files"
        ) from None
    return config
