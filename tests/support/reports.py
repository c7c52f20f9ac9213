"""Reports as agents send them: a healthy one, and how to bend it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from drift_collector.fleet.model import Trusted
from drift_collector.store.base import DriftItem, DriftReport

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
DIGEST = "1:sha256:" + "a" * 64
POLICY = "1:sha256:" + "b" * 64
TRUSTED: Mapping[str, Trusted] = {"web@1.2": Trusted("web@1.2", DIGEST, POLICY)}


def report(instance: str = "i-1", **changed: Any) -> DriftReport:
    """A healthy, sealed, fresh report, ten seconds old; `changed` replaces fields."""
    healthy = DriftReport(
        time=NOW - 10 * SECOND,
        instance=instance,
        host=f"host-{instance}",
        image="web@1.2",
        group="web",
        state="clean",
        manifest=DIGEST,
        observed=DIGEST,
        seal="1:sha256:" + "c" * 64,
        policy=POLICY,
        agent_version="0.1.0",
        boot_id="boot-1",
        scanned=5000,
        seq=7,
        since=NOW - 3600 * SECOND,
        sealed=NOW - 7200 * SECOND,
        scan_at=NOW - 300 * SECOND,
        interval=60,
        scan_interval=900,
    )
    return replace(healthy, **changed)


def drifted(instance: str = "i-1", **changed: Any) -> DriftReport:
    """A report with one modified item."""
    values: dict[str, Any] = {"state": "drifted", "modified": 1, "report": NOW - 20 * SECOND, **changed}
    return report(instance, **values)


def item(instance: str = "i-1", key: str = "/etc/motd", **changed: Any) -> DriftItem:
    """A modified file."""
    modified = DriftItem(
        time=NOW - 20 * SECOND,
        instance=instance,
        kind="file",
        change="modified",
        key=key,
        path_class="frozen",
        severity="medium",
        expected={"sha256": "11"},
        actual={"sha256": "22"},
        report=NOW - 20 * SECOND,
        first_seen=NOW - 60 * SECOND,
    )
    return replace(modified, **changed)
