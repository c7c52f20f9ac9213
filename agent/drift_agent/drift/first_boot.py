"""When first boot is over, so that what it set may be sealed."""

import os
import subprocess
import time
from collections.abc import Callable
from typing import Final

from drift_agent.clock import Clock

STATE_SECONDS: Final = 2.0
"""How long systemd is waited for."""

LOOK_SECONDS: Final = 1.0
_ON_ITS_WAY: Final = frozenset({"initializing", "starting"})


class FirstBoot:
    """Over when cloud-init has finished, where the image has it, and systemd has started what it was to start.

    Both are looked at every `LOOK_SECONDS` at most, and waited for `settle` seconds at most.
    """

    def __init__(
        self, root: str, settle: float, clock: Clock, *, over: bool, system_state: Callable[[], str] | None = None
    ) -> None:
        """`over` says that it is known to be. `system_state` is asked in place of `systemd_state`."""
        self._root = root
        self._system_state = system_state or systemd_state
        self._clock = clock
        self._deadline = clock.monotonic() + settle
        self._next = clock.monotonic()
        self._over = over

    def is_over(self) -> bool:
        """Whether it is; once it is, it stays so."""
        now = self._clock.monotonic()
        if not self._over and now >= self._next:
            self._next = now + LOOK_SECONDS
            self._over = self.is_late() or (cloud_init_is_done(self._root) and self._has_started())
        return self._over

    def is_late(self) -> bool:
        """Whether nothing is waited for any more."""
        return self._clock.monotonic() >= self._deadline

    def _has_started(self) -> bool:
        """Whether systemd has started what it was to start: services that are still to come bring their sockets.

        It is asked where the root is the running machine's.
        """
        return os.path.realpath(self._root) != "/" or self._system_state() not in _ON_ITS_WAY


def booted_at(now: int) -> int:
    """When this machine booted (Unix ns): its first process began then, in a container too; `now` where nobody says."""
    try:
        up = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError):  # another system has no such clock
        return now
    return now - round((up - _first_process_began()) * 1e9)


def _first_process_began() -> float:
    """Seconds after the kernel; 0 where that is hidden (`hidepid`): of a machine it is next to nothing."""
    try:
        with open("/proc/1/stat", encoding="ascii", errors="replace") as file:
            return int(file.read(4096).rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def cloud_init_is_done(root: str) -> bool:
    """Whether cloud-init's result stands under `root`, or the image has none, or has it turned off."""

    def stands(path: str) -> bool:
        return os.path.lexists(os.path.join(root, path))

    if stands("run/cloud-init/result.json") or stands("run/cloud-init/disabled"):
        return True
    if stands("etc/cloud/cloud-init.disabled"):
        return True
    return not (stands("usr/bin/cloud-init") or stands("etc/cloud/cloud.cfg"))


def systemd_state() -> str:
    """What `systemctl is-system-running` says; empty where there is no systemd, or it does not answer."""
    if not os.path.isdir("/run/systemd/system"):
        return ""
    command = ["systemctl", "is-system-running"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=STATE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
