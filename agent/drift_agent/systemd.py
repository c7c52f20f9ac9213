"""What systemd wants to hear: ready, still alive, stopping. Silent where there is no systemd.

Protocol: sd_notify(3), one datagram to the socket that `NOTIFY_SOCKET` names.
"""

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Speaks to the service manager that started us; does nothing where none did."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environ.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0
        """How long systemd waits for a sign of life; 0 where it does not."""

    def ready(self) -> None:
        self._send("READY=1")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.sendto(message.encode(), self._address)
            except OSError:  # a service manager that does not listen is no reason to stop
                return
