"""A hundred and eighty ways to stay on a machine, on a real Debian root: each is seen, and nothing else is reported.

`tests/data/persistence.toml` holds a row for each; a row runs in an overlay of its own over the baked root.
"""

import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

import need
import product
from drift_agent.drift.check import check_tree
from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy_file import load_policy
from drift_agent.model import Change

TECHNIQUES: list[dict[str, Any]] = tomllib.loads((product.PROJECT / "tests/data/persistence.toml").read_text())[
    "technique"
]
PACKAGES = (
    "systemd", "systemd-sysv", "cron", "openssh-server", "sudo", "rsyslog", "logrotate", "e2fsprogs", "libcap2-bin",
    "udev", "kmod", "passwd", "dbus", "netbase",
)  # fmt: skip

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Baked:
    """A Debian root, and its manifests by profile and layers."""

    root: Path
    folder: Path
    manifests: dict[str, Manifest] = field(default_factory=dict)

    def manifest(self, profile: str = "debian", layers: Sequence[str] = ()) -> Manifest:
        """That of a profile; baked when it is first asked for."""
        name = "+".join((profile, *layers))
        if name not in self.manifests:
            path = str(self.folder / f"{name}.jsonl")
            bake(str(self.root), "debian", "12", load_policy(None, profile, layers=layers), path)
            self.manifests[name] = Manifest.open(path)
        return self.manifests[name]

    @contextmanager
    def copy(self, folder: Path) -> Iterator[Path]:
        """The root once more, to be changed: an overlay that leaves the real one alone."""
        upper, work, merged = (folder / name for name in ("upper", "work", "merged"))
        for path in (upper, work, merged):
            path.mkdir()
        options = f"lowerdir={self.root},upperdir={upper},workdir={work}"
        mount = [need.program("mount"), "-t", "overlay", "overlay", "-o", options, str(merged)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            need.absent("leave to mount an overlay")
        try:
            yield merged
        finally:
            subprocess.run(["umount", str(merged)], check=True)


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baked]:
    folder = tmp_path_factory.mktemp("debian")
    root = product.make_debian_root(folder / "root", *PACKAGES)
    found = Baked(root, folder)
    yield found
    for manifest in found.manifests.values():
        manifest.close()


def in_words(change: Change) -> str:
    sealed = "sealed " if change.path_class == "sealed" else ""
    attributes = f" ({','.join(sorted({*change.expected, *change.actual}))})" if change.change == "modified" else ""
    return f"{sealed}{change.kind} {change.key} {change.change}{attributes}"


def test_a_root_that_nobody_touched_is_clean(baked: Baked, tmp_path: Path) -> None:
    with baked.copy(tmp_path) as root:
        result = check_tree(str(root), baked.manifest())
    assert (result.changes, result.unreadable) == ([], [])
    assert result.observed == baked.manifest().header.digest


@pytest.mark.parametrize("technique", TECHNIQUES, ids=[f"{one['id']} {one['name']}" for one in TECHNIQUES])
def test_a_technique_is_seen_and_nothing_else_is_reported(
    baked: Baked, tmp_path: Path, technique: dict[str, Any]
) -> None:
    manifest = baked.manifest(technique.get("profile", "debian"), technique.get("layers", ()))
    with baked.copy(tmp_path) as root:
        script = ["chroot", str(root), "/bin/sh", "-euc", technique["do"]]
        done = subprocess.run(script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        try:
            found = [in_words(change) for change in check_tree(str(root), manifest).changes]
        finally:
            subprocess.run(["chattr", "-a", str(root / "etc/crontab")], capture_output=True, check=False)
    patterns = technique["reported"]
    assert [word for word in found if not any(fnmatchcase(word, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatchcase(word, pattern) for word in found)] == []
