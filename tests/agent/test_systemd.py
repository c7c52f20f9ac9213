"""What the service manager hears."""

import socket
from pathlib import Path

from drift_agent.systemd import Notifier


def test_the_service_manager_hears_what_is_said(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"})
        notifier.ready()
        notifier.alive()
        notifier.stopping()
        heard = [manager.recv(100) for _ in range(3)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    assert notifier.watchdog_seconds == 30.0


def test_without_a_service_manager_it_is_silent() -> None:
    notifier = Notifier({})
    notifier.ready()
    assert notifier.watchdog_seconds == 0.0


def test_a_service_manager_that_went_away_does_not_stop_us(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
