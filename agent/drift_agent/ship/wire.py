"""Connections that another thread can end: urllib3's, with a handle on the socket."""

import os
import socket
from collections.abc import Callable
from threading import Lock
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Wire:
    """The connection in use, by a descriptor of its own: it survives what TLS does to the socket object."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._handle: socket.socket | None = None
        self.cut_by = ""
        """Why it was ended; empty while it was not. Once ended it stays so: whatever connects then is ended too."""

    def hold(self, sock: socket.socket) -> None:
        """Another connection is in use from here on."""
        with self._lock:
            self._release()
            self._handle = socket.socket(fileno=os.dup(sock.fileno()))
            if self.cut_by:
                self._shut()

    def release(self) -> None:
        """None is in use."""
        with self._lock:
            self._release()

    def cut(self, why: str) -> None:
        """Ends whatever is under way on this connection."""
        with self._lock:
            self.cut_by = why
            self._shut()

    def _shut(self) -> None:
        if self._handle is not None:
            try:
                self._handle.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other side was quicker
                return

    def _release(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _pools(wire: Wire) -> dict[str, Callable[..., Any]]:
    """urllib3's pools with connections that show their socket to `wire`."""

    class Http(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            wire.hold(sock)
            return sock

        def close(self) -> None:
            wire.release()
            super().close()

    class Https(Http, HTTPSConnection):
        pass

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    return {"http": HttpPool, "https": HttpsPool}


class WireAdapter(HTTPAdapter):
    """requests' adapter for one kept connection, direct or through a proxy."""

    def __init__(self, wire: Wire) -> None:
        self._pools = _pools(wire)
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (requests' own signature)
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 (requests' own signature)
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager
