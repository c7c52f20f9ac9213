"""Is this the end of the machine, or only of the agent? The last word depends on it.

`terminated` is said only when the machine itself ends: a Spot or Auto Scaling notice, or systemd on its way to
poweroff or halt. Everything else, a reboot included, is `stopped`: whoever stops the agent does not leave the report.
"""

import json
import logging
import shutil
import subprocess
from collections.abc import Callable
from threading import Event
from typing import Final

from drift_agent.clock import Clock
from drift_agent.identity import is_ec2
from drift_agent.imds import Fetch, Session, fetch_link_local

LOG: Final = logging.getLogger("driftline.ending")

NOTICE_SECONDS: Final = 5.0
"""How often the cloud is asked; a Spot notice comes two minutes ahead."""

ENDING_TARGETS: Final = frozenset(
    {"poweroff.target", "halt.target", "systemd-poweroff.service", "systemd-halt.service"}
)
ENDING_ACTIONS: Final = frozenset({"terminate", "stop", "hibernate"})


def is_machine_ending(jobs: str) -> bool:
    """Whether systemd's queue of jobs (`systemctl list-jobs --plain --no-legend`) leads to poweroff or halt."""
    rows = (line.split() for line in jobs.splitlines())
    return any(len(row) >= 3 and row[1] in ENDING_TARGETS and row[2] == "start" for row in rows)


def systemd_jobs() -> str:
    """systemd's queue of jobs; empty where there is no systemd, or it does not answer within 2 s."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return ""
    command = [systemctl, "list-jobs", "--plain", "--no-legend"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def cloud_notice(session: Session) -> str:
    """Why the cloud is about to end this instance, in a few words; empty when it is not.

    Sources: `spot/instance-action` (404 until there is one) and `autoscaling/target-lifecycle-state`.
    """
    action = session.get("meta-data/spot/instance-action")
    if action:
        try:
            named = json.loads(action)["action"]
        except (ValueError, TypeError, KeyError):
            named = None
        if named in ENDING_ACTIONS:
            return f"Spot notice: {named}"
    if (session.get("meta-data/autoscaling/target-lifecycle-state") or "").strip() == "Terminated":
        return "Auto Scaling notice: Terminated"
    return ""


def watch_cloud(
    stop: Event, ended: Callable[[str], None], clock: Clock, fetch: Fetch = fetch_link_local, root: str = "/"
) -> None:
    """Asks the cloud until `stop` is set or it says that the end is near; then calls `ended` with the reason, once.

    Returns at once where the machine is not an EC2 instance.
    """
    if not is_ec2(root):
        return
    while not clock.wait(stop, NOTICE_SECONDS):
        reason = cloud_notice(Session(fetch, clock.monotonic() + NOTICE_SECONDS, clock.monotonic))
        if reason:
            LOG.warning("%s: sending the last word", reason)
            ended(reason)
            return
