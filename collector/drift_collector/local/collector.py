"""A collector within this process: the server of `drift serve`, on a free loopback port, in a thread."""

import socket
import time
from threading import Thread
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.applications import Starlette

from drift_agent.errors import StoreError

START_SECONDS: Final = 10.0


class LocalCollector:
    """Serves `app` while it is entered; `url` is where. Nothing listens on the port afterwards."""

    def __init__(self, app: Starlette) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2)
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, args=([self._socket],), name="collector", daemon=True)

    def __enter__(self) -> Self:
        """Raises StoreError where the server does not come up."""
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise StoreError(f"the embedded collector did not come up on {self.url}")
            time.sleep(0.01)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.should_exit = True
        self._thread.join(START_SECONDS)
        self._socket.close()
