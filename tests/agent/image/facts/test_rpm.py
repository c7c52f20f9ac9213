"""Packages out of an rpm database: made by a real rpm, read by a real rpm."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

import need
from drift_agent.drift.check import check_tree
from drift_agent.errors import IncompleteError
from drift_agent.image.bake import bake
from drift_agent.image.facts import Context, Gathered, package
from drift_agent.image.facts.rpm import FOLDERS, parse
from drift_agent.image.policy import Policy, Rule
from drift_agent.image.rootfs import RootFiles
from trees import Link, bake_tree, make_tree

SPEC = """Name: {name}
Version: {version}
Release: 3
{more}
Summary: tiny
License: MIT
BuildArch: noarch
%description
tiny
%files
"""
POLICY = Policy.of([Rule("/var/lib/rpm/**", "ignored")])


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Packages without files, by `name-version`."""
    rpmbuild = need.program("rpmbuild", "rpm")
    top = tmp_path_factory.mktemp("rpmbuild")
    built = {}
    for name, version, more in (("tiny", "1.2", "Epoch: 1"), ("kernel", "6.9", ""), ("kernel", "6.10", "")):
        spec = top / f"{name}-{version}.spec"
        spec.write_text(SPEC.format(name=name, version=version, more=more))
        command = [rpmbuild, "-bb", "--quiet", "--define", f"_topdir {top}", str(spec)]
        subprocess.run(command, check=True, capture_output=True)
        built[f"{name}-{version}"] = top / f"RPMS/noarch/{name}-{version}-3.noarch.rpm"
    return built


def change(root: Path, *arguments: str | Path, folder: str = "/var/lib/rpm") -> None:
    """Has rpm change the root's database."""
    database = root / folder.strip("/")
    database.mkdir(parents=True, exist_ok=True)
    command = ["rpm", "--dbpath", str(database), "--justdb", "--nodeps", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def gather(root: Path) -> Gathered:
    with RootFiles(str(root)) as files:
        found = package.FACT.gather(Context(files))
    assert found is not None
    return found


def no_rpm(_: Sequence[str]) -> bytes:
    raise FileNotFoundError


@pytest.mark.parametrize("folder", FOLDERS)
def test_packages_are_read_through_rpm(tmp_path: Path, packages: dict[str, Path], folder: str) -> None:
    change(tmp_path, "-i", "--ignorearch", *packages.values(), folder=folder)
    found = gather(tmp_path)
    assert found.unreadable == {}
    assert [(item.key, dict(item.attributes)) for item in found.items] == [
        ("kernel:noarch", {"version": "6.10-3 6.9-3", "state": "installed"}),
        ("tiny:noarch", {"version": "1:1.2-3", "state": "installed"}),
    ]


def test_the_tree_is_not_touched(tmp_path: Path, packages: dict[str, Path]) -> None:
    change(tmp_path, "-i", "--ignorearch", packages["tiny-1.2"])
    database = tmp_path / "var/lib/rpm"

    def seen() -> list[tuple[str, int]]:
        return [(str(path), os.stat(path).st_mtime_ns) for path in [database, *sorted(database.iterdir())]]

    before = seen()
    assert gather(tmp_path).items
    assert seen() == before


def test_what_came_and_went_since_the_bake_is_told(tmp_path: Path, packages: dict[str, Path]) -> None:
    root = tmp_path / "root"
    change(root, "-i", "--ignorearch", packages["tiny-1.2"], packages["kernel-6.9"])
    with bake_tree(root, tmp_path / "m", POLICY) as manifest:
        assert manifest.header.counts["package"] == 2
        assert check_tree(str(root), manifest).observed == manifest.header.digest
        change(root, "-e", "tiny")
        change(root, "-i", "--ignorearch", packages["kernel-6.10"])
        (kernel, tiny) = check_tree(str(root), manifest).changes
    assert (kernel.key, kernel.change, kernel.actual["version"]) == ("kernel:noarch", "modified", "6.10-3 6.9-3")
    assert (tiny.key, tiny.change) == ("tiny:noarch", "removed")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to read as another user and come back")
def test_an_agent_that_is_not_root_sees_the_same(tmp_path: Path, packages: dict[str, Path]) -> None:
    change(tmp_path, "-i", "--ignorearch", *packages.values())
    for parent in [tmp_path, *tmp_path.parents]:
        parent.chmod(parent.stat().st_mode & 0o7777 | 0o755)
    as_root = gather(tmp_path)
    os.seteuid(65534)
    try:
        assert gather(tmp_path) == as_root
    finally:
        os.seteuid(0)


def test_a_damaged_database_is_unreadable(tmp_path: Path) -> None:
    need.program("rpm")
    make_tree(tmp_path, {"var/lib/rpm/rpmdb.sqlite": "no database\n" * 1000})
    found = gather(tmp_path)
    assert (found.items, list(found.unreadable)) == ([], ["/var/lib/rpm/rpmdb.sqlite"])
    assert found.unreadable["/var/lib/rpm/rpmdb.sqlite"].startswith("rpm: ")


def test_a_database_without_a_command_is_unreadable_and_fails_the_bake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "root", {"var/lib/rpm/rpmdb.sqlite": "x"})
    with RootFiles(str(root)) as files:
        found = package.FACT.gather(Context(files, run=no_rpm))
    assert found is not None
    assert found.unreadable == {
        "/var/lib/rpm/rpmdb.sqlite": "is an rpm database, and this machine has no rpm to read it"
    }
    monkeypatch.setattr("drift_agent.image.command._ENVIRONMENT", {"PATH": "/nonexistent"})
    with pytest.raises(IncompleteError, match="this machine has no rpm"):
        bake(str(root), "web", "1", Policy.of([]), str(tmp_path / "m"))


def test_a_database_behind_a_link_that_leaves_the_tree_is_not_followed(
    tmp_path: Path, packages: dict[str, Path]
) -> None:
    change(tmp_path / "outside", "-i", "--ignorearch", packages["tiny-1.2"])
    root = make_tree(tmp_path / "root", {"var/lib": {"rpm": Link(str(tmp_path / "outside/var/lib/rpm"))}})
    with RootFiles(str(root)) as files:
        assert package.FACT.gather(Context(files)) is None


def test_the_keys_that_rpm_trusts_are_one_item_and_order_does_not_matter() -> None:
    lines = [b"gpg-pubkey\t(none)\tb1-2\n", b"gpg-pubkey\t(none)\ta1-2\n", b"bash\tx86_64\t5.2-1\n"]
    assert parse(b"".join(lines)) == parse(b"".join(reversed(lines)))
    assert parse(b"".join(lines))["gpg-pubkey:none"] == {"version": "a1-2 b1-2", "state": "installed"}


@pytest.mark.parametrize("line", [b"bash\n", b"\tx\t1\n", b"a\tb\tc\td\n"])
def test_a_line_of_another_form_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not understood"):
        parse(line)
