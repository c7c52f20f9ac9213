"""Checking some paths: these are compared and no others, soon, and what was not come to is said."""

import itertools
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from checked import bake_root, found, make_root
from drift_agent.drift import check_paths as check_paths_module
from drift_agent.drift.check_paths import check_paths
from drift_agent.drift.check_result import Scope
from drift_agent.image.manifest import Manifest
from waiting import PATIENCE

HUGE = 300 << 30

pytestmark = pytest.mark.usefixtures("unhurried")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.fixture
def manifest(root: Path) -> Manifest:
    return bake_root(root)


def test_single_paths_are_compared_alone(root: Path, manifest: Manifest) -> None:
    (root / "etc/hosts").write_text("x")
    (root / "usr/bin/tool").unlink()
    (root / "etc/new").write_text("x")
    result = check_paths(str(root), manifest, ["/etc/hosts", "/etc/new", "/etc/cron.d/job"])
    assert found(result.changes) == {("modified", "/etc/hosts"), ("added", "/etc/new")}
    assert result.scope.covers("file", "/etc/new")
    assert not result.scope.covers("file", "/usr/bin/tool")
    assert found(check_paths(str(root), manifest, ["/usr/bin/tool"]).changes) == {("removed", "/usr/bin/tool")}


def test_a_folder_that_came_or_went_is_compared_with_everything_below(root: Path, manifest: Manifest) -> None:
    os.rename(root / "etc/cron.d", root / "etc/cron.e")
    result = check_paths(str(root), manifest, ["/etc/cron.d", "/etc/cron.e", "/etc/cron.d/job"])
    assert found(result.changes) == {
        ("removed", "/etc/cron.d"),
        ("removed", "/etc/cron.d/job"),
        ("added", "/etc/cron.e"),
        ("added", "/etc/cron.e/job"),
    }
    assert result.scope.covers("file", "/etc/cron.d/job")


def test_a_folder_on_both_sides_is_compared_alone_or_on_request_as_a_tree(root: Path, manifest: Manifest) -> None:
    (root / "etc/cron.d/job").write_text("other")
    assert check_paths(str(root), manifest, ["/etc"]).changes == []
    for tree in ("/etc", "/"):
        assert found(check_paths(str(root), manifest, [], trees=[tree]).changes) == {("modified", "/etc/cron.d/job")}


def test_an_empty_scope_stands_for_everything() -> None:
    assert Scope().covers("user", "root")
    assert not Scope(everything=False).covers("file", "/")
    assert Scope(trees=("/",), everything=False).covers("file", "/etc")


def test_some_paths_do_not_wait_for_the_digest_of_a_huge_file(
    root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("etc/huge", "etc/cron.d/job", "etc/machine-id"):
        os.truncate(root / name, HUGE) if (root / name).exists() else (root / name).open("w").truncate(HUGE)
    (root / "usr/bin/tool").write_text("other")
    monkeypatch.setattr(check_paths_module, "LOOK_SECONDS", 10 * PATIENCE)
    began = time.monotonic()
    paths = ["/etc/huge", "/etc/cron.d/job", "/etc/machine-id", "/usr/bin/tool"]
    for result in (check_paths(str(root), manifest, paths), check_paths(str(root), manifest, [], trees=["/"])):
        assert found(result.changes) == {("added", "/etc/huge"), ("modified", "/usr/bin/tool")}
        assert result.changes[0].actual["type"] == "file"
        assert "sha256" not in result.changes[0].actual
        assert result.complete
        assert result.scope.covers("file", "/etc/huge")
        assert not result.scope.covers("file", "/etc/cron.d/job"), "whether its content is the image's is not known"
        assert not result.scope.covers("file", "/etc/machine-id"), "nor whether it is the seal's"
    assert time.monotonic() - began < PATIENCE  # it takes minutes to read


def test_what_is_seen_without_reading_a_huge_file_is_told(root: Path, manifest: Manifest) -> None:
    os.truncate(root / "usr/bin/tool", HUGE)
    (root / "usr/bin/tool").chmod(0o4755)
    (change,) = check_paths(str(root), manifest, ["/usr/bin/tool"]).changes
    assert (change.change, change.actual) == ("modified", {"mode": "4755"})


def test_some_paths_take_no_longer_than_they_may(
    root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "etc/hosts").write_text("x")
    monkeypatch.setattr(check_paths_module, "LOOK_SECONDS", -1.0)
    for paths, trees in ((["/etc/hosts"], []), ([], ["/etc"])):
        result = check_paths(str(root), manifest, paths, trees=trees)
        assert not result.complete
        assert not result.scope.covers("file", "/etc/hosts")


def test_a_huge_folder_that_went_is_left_to_the_scan(
    root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Naming everything that it held takes too long for somebody who waits."""
    shutil.rmtree(root / "etc")
    monkeypatch.setattr(check_paths_module, "MOST_EXPECTED_BYTES", 200)
    result = check_paths(str(root), manifest, ["/etc", "/usr/bin/tool"])
    assert not result.complete
    assert result.changes == []
    assert result.scope.covers("file", "/usr/bin/tool")
    assert not result.scope.covers("file", "/etc/hosts")


def test_a_content_that_takes_too_long_to_read_is_left_for_later(
    root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "etc/new").open("w").truncate(HUGE)
    os.truncate(root / "etc/hosts", HUGE)
    monkeypatch.setattr(check_paths_module, "MOST_BYTES", HUGE)
    asked = itertools.count()
    monkeypatch.setattr(check_paths_module, "time", SimpleNamespace(monotonic=lambda: next(asked) * PATIENCE / 20))
    began = time.monotonic()
    result = check_paths(str(root), manifest, ["/etc/new"])
    assert found(result.changes) == {("added", "/etc/new")}
    assert result.scope.covers("file", "/etc/new")
    assert not check_paths(str(root), manifest, ["/etc/hosts"]).scope.covers("file", "/etc/hosts")
    assert time.monotonic() - began < PATIENCE  # it takes minutes to read
