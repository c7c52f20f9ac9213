"""An image that keeps the agent's state in memory: from its fstab to the verdict."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from drift_agent.image.bake import bake
from drift_agent.image.policy import Policy
from drift_collector.fleet.model import Trusted
from drift_collector.fleet.verdict import judge
from drift_collector.images import load_trusted
from drift_collector.store.sqlite import SqliteStore
from reports import NOW, SECOND, report
from stores import fill
from trees import make_tree

DISK = "UUID=1 / ext4 defaults 0 1\n"
MEMORY = DISK + "tmpfs /var/lib/driftline tmpfs mode=0700 0 0\n"
OVER_MEMORY = MEMORY + "UUID=2 /var/lib/driftline ext4 defaults 0 2\n"


def trusted(folder: Path, fstab: str, given: Mapping[str, str] | None = None) -> Mapping[str, Trusted]:
    """What the bake of a root with that fstab makes the collector trust."""
    root = make_tree(folder / "root", {"etc": {"fstab": fstab, "os-release": "ID=debian\n"}})
    (folder / "trusted").mkdir()
    bake(str(root), "web", "1.2", Policy.of([]), str(folder / "trusted/web.jsonl"), image_mounts=given)
    return load_trusted(str(folder / "trusted"))


def verdict(folder: Path, known: Mapping[str, Trusted], boots: tuple[str, str]) -> tuple[str, list[str]]:
    """Of an instance that sealed, and sealed a second time, each under its boot."""
    image = known["web@1.2"]
    said = {"manifest": image.digest, "observed": image.digest, "policy": image.policy}
    first = report(time=NOW - 3600 * SECOND, scan_at=NOW - 3600 * SECOND, seq=8, boot_id=boots[0], **said)
    again = report(sealed=NOW - 600 * SECOND, seq=1, boot_id=boots[1], **said)
    path = str(folder / "store.db")
    fill(path, [first, again])
    store = SqliteStore(path)
    try:
        (found,) = judge(store.newest(0, NOW), NOW, trusted=known).verdicts
    finally:
        store.close()
    return found.state, [reason.code for reason in found.reasons]


@pytest.mark.parametrize(
    ("fstab", "given", "boots", "expected"),
    [
        (MEMORY, {}, ("b1", "b2"), ("clean", [])),
        (DISK, {"/var": "tmpfs"}, ("b1", "b2"), ("clean", [])),
        (DISK, {"/": "overlay"}, ("b1", "b2"), ("clean", [])),
        (MEMORY, {}, ("b1", "b1"), ("drifted", ["state-reset"])),
        (DISK, {}, ("b1", "b2"), ("drifted", ["state-reset"])),
        (OVER_MEMORY, {}, ("b1", "b2"), ("drifted", ["state-reset"])),
        (DISK, {"/var/lib/driftline": ""}, ("b1", "b2"), ("drifted", ["state-reset"])),
    ],
)
def test_a_second_seal_after_a_boot_is_no_reset_where_the_image_keeps_the_state_in_memory(
    tmp_path: Path, fstab: str, given: Mapping[str, str], boots: tuple[str, str], expected: tuple[str, list[str]]
) -> None:
    assert verdict(tmp_path, trusted(tmp_path, fstab, given), boots) == expected
