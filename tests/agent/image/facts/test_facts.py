"""The list of facts, and how they come through bake and check."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drift_agent.drift.check import check_tree
from drift_agent.drift.check_paths import check_paths
from drift_agent.image.facts import FACTS
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import BAKED_KINDS, Policy
from drift_agent.image.policy_file import load_policy
from drift_agent.model import Change
from trees import File, Link, Tree, bake_tree, make_tree

ROOT: Tree = {
    "etc": {
        "passwd": "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\n",
        "shadow": File("root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n", 0o600),
        "group": "root:x:0:\nsudo:x:27:\n",
        "gshadow": File("root:*::\nsudo:*::\n", 0o600),
        "sysctl.d": {"10-net.conf": "net.ipv4.ip_forward = 0\n"},
        "systemd/system": {
            "app.service": "[Install]\nWantedBy=multi-user.target\n",
            "multi-user.target.wants": {"app.service": Link("../app.service")},
        },
    },
    "usr/lib/systemd/system": {"ssh.service": "[Install]\n", "x.timer": "[Timer]\n"},
    "var/lib/dpkg/status": "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "root", ROOT)


@pytest.fixture
def manifest(root: Path, tmp_path: Path) -> Manifest:
    return bake_tree(root, tmp_path / "m", load_policy(None, "debian"))


def found(changes: list[Change]) -> set[tuple[str, str, str]]:
    return {(change.kind, change.key, change.change) for change in changes}


def append(root: Path, key: str, text: str) -> None:
    with (root / key).open("a") as file:
        file.write(text)


def substitute(root: Path, key: str, old: str, new: str) -> None:
    (root / key).write_text((root / key).read_text().replace(old, new))


def prepend(root: Path, key: str, text: str) -> None:
    (root / key).write_text(text + (root / key).read_text())


def test_the_kinds_are_those_that_a_manifest_knows_in_its_order() -> None:
    assert ("file", *(fact.kind for fact in FACTS)) == BAKED_KINDS


def test_every_kind_is_baked_and_a_clean_tree_is_clean(root: Path, manifest: Manifest) -> None:
    assert set(manifest.header.counts) == set(BAKED_KINDS)
    result = check_tree(str(root), manifest)
    assert result.changes == []
    assert result.observed == manifest.header.digest
    assert result.scanned == sum(manifest.header.counts.values())


CHANGES: list[tuple[Callable[[Path], object], set[tuple[str, str, str]]]] = [
    (lambda root: append(root, "etc/passwd", "evil:x:0:0::/:/bin/sh\n"), {("user", "evil", "added")}),
    (lambda root: append(root, "etc/passwd", "root::0:0::/:/bin/sh\n"), {("user", "root#2", "added")}),
    (lambda root: append(root, "etc/shadow", "root:$6$x:1::::::\n"), {("user", "root#2", "added")}),
    (
        lambda root: prepend(root, "etc/shadow", "root::19000:0:99999:7:::\n"),  # the first record of a name counts
        {("user", "root", "modified"), ("user", "root#2", "added")},
    ),
    (lambda root: substitute(root, "etc/passwd", "root:x:", "root::"), {("user", "root", "modified")}),
    (lambda root: substitute(root, "etc/passwd", "root:x:", "root:$6$a$b:"), {("user", "root", "modified")}),
    (lambda root: substitute(root, "etc/group", "sudo:x:", "sudo::"), {("group", "sudo", "modified")}),
    (
        lambda root: prepend(root, "etc/gshadow", "sudo:::\n"),
        {("group", "sudo", "modified"), ("group", "sudo#2", "added")},
    ),
    (lambda root: (root / "etc/group").write_text("root:x:0:\nsudo:x:27:daemon\n"), {("group", "sudo", "modified")}),
    (
        lambda root: append(root, "var/lib/dpkg/status", "\nPackage: nc\nArchitecture: amd64\nVersion: 1\n"),
        {("package", "nc:amd64", "added")},
    ),
    (lambda root: (root / "var/lib/dpkg/status").write_text("x"), {("package", "bash:amd64", "removed")}),
    (
        lambda root: append(root, "etc/sysctl.d/10-net.conf", "net/ipv4/ip_forward = 1\n"),
        {("sysctl", "net.ipv4.ip_forward", "modified"), ("file", "/etc/sysctl.d/10-net.conf", "modified")},
    ),
    (
        lambda root: (root / "etc/systemd/system/ssh.service").symlink_to("/dev/null"),
        {("service", "ssh.service", "modified"), ("file", "/etc/systemd/system/ssh.service", "added")},
    ),
]


@pytest.mark.parametrize(("mutate", "expected"), CHANGES)
def test_a_change_is_told_record_by_record(
    root: Path, manifest: Manifest, mutate: Callable[[Path], object], expected: set[tuple[str, str, str]]
) -> None:
    mutate(root)
    result = check_tree(str(root), manifest)
    assert found(result.changes) == expected
    assert result.observed != manifest.header.digest


def test_the_day_of_the_last_password_change_is_no_change(root: Path, manifest: Manifest) -> None:
    (root / "etc/shadow").write_text("root:*:20000:0:99999:7:::\ndaemon:*:1:0:99999:7:::\n")
    assert check_tree(str(root), manifest).changes == []


@pytest.mark.usefixtures("unhurried")
def test_touching_a_source_compares_its_kinds_again(root: Path, manifest: Manifest) -> None:
    append(root, "etc/passwd", "evil:x:0:0::/:/bin/sh\n")
    result = check_paths(str(root), manifest, ["/etc/passwd"])
    assert found(result.changes) == {("user", "evil", "added")}
    assert result.scope.covers("user", "anybody")
    assert not result.scope.covers("package", "bash:amd64")
    assert check_paths(str(root), manifest, ["/etc/hosts"]).scope.kinds == ()
    make_tree(root, {"etc/systemd/system/new.target.wants": {"ssh.service": Link("/lib/systemd/system/ssh.service")}})
    result = check_paths(str(root), manifest, ["/etc/systemd/system/new.target.wants"])
    assert ("service", "ssh.service", "modified") in found(result.changes)


def test_a_kind_that_is_switched_off_is_not_compared(root: Path, tmp_path: Path) -> None:
    with bake_tree(root, tmp_path / "m", Policy.of([], kinds=["file"])) as manifest:
        assert set(manifest.header.counts) == {"file"}
        append(root, "var/lib/dpkg/status", "\nPackage: nc\nArchitecture: amd64\nVersion: 1\n")
        assert found(check_tree(str(root), manifest).changes) == {("file", "/var/lib/dpkg/status", "modified")}


def test_a_kind_without_a_meaning_says_so(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root", {"etc/hosts": "x"})
    with bake_tree(root, tmp_path / "m") as manifest:
        assert manifest.header.not_applicable == ("group", "package", "service", "sysctl", "user")
        assert check_tree(str(root), manifest).not_applicable == ["group", "package", "service", "sysctl", "user"]


def test_a_database_that_is_gone_is_no_silence(root: Path, manifest: Manifest) -> None:
    (root / "var/lib/dpkg/status").unlink()
    (unreadable,) = check_tree(str(root), manifest).unreadable
    assert (unreadable.kind, unreadable.error) == ("package", "what the image had of it is not there any more")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to read as another user and come back")
def test_what_a_user_may_not_read_is_told_or_was_recorded(root: Path, manifest: Manifest, tmp_path: Path) -> None:
    for parent in [tmp_path, *tmp_path.parents]:
        parent.chmod(parent.stat().st_mode & 0o7777 | 0o755)
    tmp_path.chmod(0o777)
    policy = load_policy(None, "debian")  # read as root: a checkout may lie in a folder of root's own
    os.seteuid(65534)
    try:
        result = check_tree(str(root), manifest)
        assert result.changes == []
        assert ("user", "/etc/shadow") in {(entry.kind, entry.key) for entry in result.unreadable}
        with bake_tree(root, tmp_path / "u", policy) as own:
            again = check_tree(str(root), own)
            assert (again.changes, again.unreadable, again.observed) == ([], [], own.header.digest)
    finally:
        os.seteuid(0)
