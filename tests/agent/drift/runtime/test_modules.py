"""Loaded modules against the image's files."""

from pathlib import Path

import pytest

from drift_agent.drift.runtime import modules
from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text("6.1.0\n")
    (tmp_path / "proc/sys/kernel/modules_disabled").write_text("0\n")
    (tmp_path / "proc/modules").write_text(
        "nf_tables 303104 0 - Live 0x0\next4 1 0 - Live 0x0\nrootkit 16384 0 - Live 0x0 (OE)\n"
    )
    return tmp_path / "proc"


def baked(folder: Path, *names: str) -> Manifest:
    kernel = folder / "root/usr/lib/modules/6.1.0/kernel"
    kernel.mkdir(parents=True)
    for name in names:
        (kernel / name).write_text("")
    bake(str(folder / "root"), "web", "", Policy.of(()), str(folder / "manifest.jsonl"))
    return Manifest.open(str(folder / "manifest.jsonl"))


def test_a_module_without_a_file_in_the_image_was_brought_along(tmp_path: Path, proc: Path) -> None:
    with baked(tmp_path, "nf-tables.ko.xz", "ext4.ko") as manifest:
        observed = modules.gather(manifest, str(proc))
    assert observed is not None
    assert [(change.kind, change.key, change.change) for change in observed.changes] == [("module", "rootkit", "added")]


def test_an_image_without_modules_says_nothing_of_them(tmp_path: Path, proc: Path) -> None:
    with baked(tmp_path) as manifest:
        assert modules.gather(manifest, str(proc)) is None


def test_a_kernel_without_modules_has_none(tmp_path: Path, proc: Path) -> None:
    (proc / "modules").unlink()
    (proc / "sys/kernel/modules_disabled").unlink()
    with baked(tmp_path, "ext4.ko") as manifest:
        assert modules.gather(manifest, str(proc)) is None


def test_a_list_that_is_hidden_is_said(tmp_path: Path, proc: Path) -> None:
    (proc / "modules").unlink()
    with baked(tmp_path, "ext4.ko") as manifest:
        observed = modules.gather(manifest, str(proc))
    assert observed is not None
    assert [one.kind for one in observed.unreadable] == ["module"]
