"""Where the collector listens."""

import errno
import socket

from drift_agent.errors import ConfigError, DriftlineError


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `[IPv6]:PORT`, `:PORT` (every address) or `HOST` (port 8087).

    Raises:
        ConfigError: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, "8087"
    host = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or int(port) > 65535 or host.isdigit() or "/" in host:
        raise ConfigError(f"--listen {text}: must be HOST:PORT, such as 127.0.0.1:8087")
    return host, int(port)


def open_listener(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one.

    Raises:
        ConfigError: the address is none of this machine's, or may not be used.
        DriftlineError: somebody else listens there.
    """
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError:
        raise ConfigError(f"{name}: is no address of this machine; give another with --listen") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise DriftlineError(
                f"{name}: the port is in use; stop what listens there, or give another with --listen"
            ) from None
        raise ConfigError(f"{name}: cannot listen there: {error.strerror}; give another with --listen") from None
    return listener
