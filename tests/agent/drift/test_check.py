"""Checking a tree: exactly what was changed is found, and a clean tree has the header's digest."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checked import POLICY, bake_root, found, make_root
from drift_agent.drift import compare
from drift_agent.drift.check import check_tree
from drift_agent.drift.check_paths import check_paths
from drift_agent.errors import ManifestError
from drift_agent.image import mounts
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy
from trees import Link, bake_tree, make_tree

pytestmark = pytest.mark.usefixtures("unhurried")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.fixture
def manifest(root: Path) -> Manifest:
    return bake_root(root)


def test_an_untouched_tree_is_clean_and_has_the_headers_digest(root: Path, manifest: Manifest) -> None:
    result = check_tree(str(root), manifest)
    assert result.changes == []
    assert result.unreadable == []
    assert result.observed == manifest.header.digest
    assert result.scanned == sum(manifest.header.counts.values())
    assert not result.differs


def _same_size(root: Path) -> None:
    status = (root / "etc/hosts").stat()
    (root / "etc/hosts").write_text("127.0.0.2\n")
    os.utime(root / "etc/hosts", ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace_by_link(root: Path) -> None:
    (root / "etc/hosts").unlink()
    (root / "etc/hosts").symlink_to("/tmp/scratch")


MUTATIONS: list[tuple[Callable[[Path], object], set[tuple[str, str]]]] = [
    (_same_size, {("modified", "/etc/hosts")}),
    (_replace_by_link, {("modified", "/etc/hosts")}),
    (lambda root: (root / "etc/cron.d/evil").write_text("x"), {("added", "/etc/cron.d/evil")}),
    (lambda root: (root / "usr/bin/.hidden").write_text("x"), {("added", "/usr/bin/.hidden")}),
    (lambda root: (root / "usr/bin/tool").chmod(0o4755), {("modified", "/usr/bin/tool")}),
    (lambda root: (root / "usr/bin/tool").unlink(), {("removed", "/usr/bin/tool")}),
    (lambda root: (root / "usr/bin").chmod(0o777), {("modified", "/usr/bin")}),
    (lambda root: os.link(root / "usr/bin/tool", root / "tmp/t"), {("modified", "/usr/bin/tool")}),
    (lambda root: os.rename(root / "etc/cron.d", root / "etc/cron.e"), {
        ("removed", "/etc/cron.d"), ("removed", "/etc/cron.d/job"), ("added", "/etc/cron.e"),
        ("added", "/etc/cron.e/job"),
    }),
    (lambda root: os.mkfifo(root / "etc/fifo"), {("added", "/etc/fifo")}),
    (lambda root: (root / "tmp/more").write_text("x"), set()),
]  # fmt: skip


@pytest.mark.parametrize(("mutate", "expected"), MUTATIONS)
def test_each_kind_of_change_is_found_and_nothing_else(
    root: Path, manifest: Manifest, mutate: Callable[[Path], object], expected: set[tuple[str, str]]
) -> None:
    mutate(root)
    result = check_tree(str(root), manifest)
    assert found(result.changes) == expected
    assert (result.observed == manifest.header.digest) == (not expected)


def test_a_modification_holds_just_the_attributes_that_differ(root: Path, manifest: Manifest) -> None:
    (root / "usr/bin/tool").chmod(0o4755)
    (change,) = check_tree(str(root), manifest).changes
    assert change.expected == {"mode": "0755"}
    assert change.actual == {"mode": "4755"}


def test_sealed_differences_are_told_with_their_class_and_are_not_in_the_digest(root: Path, manifest: Manifest) -> None:
    (root / "etc/hostname").write_text("web-1\n")
    (root / "etc/machine-id").write_text("1\n")
    result = check_tree(str(root), manifest)
    assert [(c.key, c.change, c.path_class, c.severity) for c in result.changes] == [
        ("/etc/hostname", "modified", "sealed", "high"),
        ("/etc/machine-id", "added", "sealed", "high"),
    ]
    assert result.observed == manifest.header.digest
    assert not result.differs


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to read as another user and come back")
def test_what_cannot_be_read_is_told_and_is_no_removal(root: Path, manifest: Manifest, tmp_path: Path) -> None:
    for parent in [tmp_path, *tmp_path.parents]:
        parent.chmod(parent.stat().st_mode & 0o7777 | 0o755)
    (root / "etc/cron.d").chmod(0o700)
    (root / "etc/hosts").chmod(0o600)
    os.seteuid(65534)
    try:
        result = check_tree(str(root), manifest)
    finally:
        os.seteuid(0)
    assert {(entry.key, entry.error) for entry in result.unreadable} == {
        ("/etc/cron.d", "Permission denied"),
        ("/etc/hosts", "Permission denied"),
    }
    assert {change.key: change.actual for change in result.changes} == {
        "/etc/cron.d": {"mode": "0700"},
        "/etc/hosts": {"mode": "0600"},
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to read as another user and come back")
def test_what_was_recorded_as_unreadable_is_no_difference_for_anybody(root: Path, tmp_path: Path) -> None:
    for parent in [tmp_path, *tmp_path.parents]:
        parent.chmod(parent.stat().st_mode & 0o7777 | 0o755)
    tmp_path.chmod(0o777)
    (root / "etc/cron.d").chmod(0o700)
    (root / "etc/hosts").chmod(0o600)
    os.seteuid(65534)
    try:
        manifest = bake_tree(root, tmp_path / "m.jsonl", POLICY)
        as_user = check_tree(str(root), manifest)
    finally:
        os.seteuid(0)
    as_root = check_tree(str(root), manifest)
    for result in (as_user, as_root):
        assert result.changes == []
        assert result.unreadable == []
        assert result.observed == manifest.header.digest
    (root / "etc/hosts").chmod(0o644)
    assert found(check_tree(str(root), manifest).changes) == {("modified", "/etc/hosts")}


def test_a_folder_that_vanishes_during_the_check_is_removed_and_not_unreadable(
    root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open, opened = os.open, []

    def open_and_vanish(path: str, flags: int, *more: int, **options: int) -> int:
        if path == "cron.d":
            opened.append(path)
            if len(opened) == 2:  # once it was looked at, before it is entered
                os.rename(root / "etc/cron.d", root / "tmp/cron.d")
        return real_open(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", open_and_vanish)
    result = check_tree(str(root), manifest)
    assert len(opened) == 2
    assert result.unreadable == []
    assert found(result.changes) == {("removed", "/etc/cron.d/job")}


def test_sealed_differences_beyond_those_that_are_kept_are_no_drift_and_no_silence(
    root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them differ is not known; what is not sealed is told as ever."""
    monkeypatch.setattr(compare, "MAX_CHANGES", 1)
    for name in ("hostname", "machine-id"):
        (root / "etc" / name).write_text("of this instance")
    result = check_tree(str(root), manifest)
    assert (found(result.changes), result.differs) == ({("modified", "/etc/hostname")}, False)
    assert [one.kind for one in result.unreadable] == ["seal"]
    assert not result.coverage()("file", "/etc/machine-id")
    (root / "usr/bin/tool").unlink()
    (root / "usr/bin/other").unlink()
    result = check_tree(str(root), manifest)
    assert found(result.changes) == {("modified", "/etc/hostname"), ("removed", "/usr/bin/other")}
    assert dict(result.omitted) == {"removed": 1}


def test_what_is_mounted_over_the_image_is_drift_and_hides_what_is_below(
    root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "etc/cron.d/job").unlink()
    (root / "etc/cron.d/evil").write_text("x")
    standing = {"/etc/cron.d": mounts.Mount("/etc/cron.d", "tmpfs", "none")}
    monkeypatch.setattr(mounts, "standing", lambda *_: standing)
    result = check_tree(str(root), manifest)
    assert [(c.kind, c.key, c.change, c.severity, dict(c.actual)) for c in result.changes] == [
        ("mount", "/etc/cron.d", "added", "high", {"type": "tmpfs", "source": "none"})
    ]
    assert result.observed != manifest.header.digest
    assert check_paths(str(root), manifest, ["/etc/cron.d/evil"]).changes == []


def test_the_images_own_mounts_are_crossed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standing = {"/etc/cron.d": mounts.Mount("/etc/cron.d", "ext4", "/dev/x")}
    monkeypatch.setattr(mounts, "standing", lambda *_: standing)
    (root / "etc/fstab").write_text("/dev/x /etc/cron.d ext4 defaults 0 2\n")
    with bake_tree(root, tmp_path / "m", POLICY) as own:
        assert own.header.mounts == {"/etc/cron.d": "ext4"}
        assert check_tree(str(root), own).changes == []
        (root / "etc/cron.d/evil").write_text("x")
        assert found(check_tree(str(root), own).changes) == {("added", "/etc/cron.d/evil")}


def test_a_damaged_line_is_named_where_it_matters(root: Path, manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'{"kind":"file","key":"/usr"', b'{"kind":"file";"key":"/usr"'))
    with Manifest.open(str(path)) as damaged, pytest.raises(ManifestError, match=r"line \d+ is not JSON"):
        check_tree(str(root), damaged)


def test_a_line_of_a_kind_that_the_policy_does_not_name_is_no_silence(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root", {"etc": {"passwd": "root:x:0:0::/:/bin/sh\n"}})
    path = tmp_path / "m"
    bake_tree(root, path, Policy.of([], kinds=["file", "user"])).close()
    raw = path.read_bytes()
    user, sysctl = b'{"kind":"user"', b'{"kind":"usee"'
    path.write_bytes(raw.replace(user, sysctl))
    with Manifest.open(str(path)) as damaged, pytest.raises(ManifestError, match="line 5 holds a usee"):
        check_tree(str(root), damaged)


# ------------------------------------------------------------------------------------------------ any tree

names = st.sampled_from([b"a", b"b", b"a.b", b"c d", b"\xff\xfe", "é".encode(), b"x\ny", b"-"])
contents = st.one_of(
    st.tuples(st.binary(max_size=4), st.sampled_from([0o644, 0o755, 0o4755, 0o600])),
    st.builds(Link, st.sampled_from(["a", "..", "/etc/passwd", "\udcff"])),
)
folders: st.SearchStrategy[dict[bytes, object]] = st.recursive(
    st.dictionaries(names, contents, max_size=4),
    lambda below: st.dictionaries(names, st.one_of(contents, below), max_size=4),
    max_leaves=12,
)


def write_tree(path: bytes, tree: dict[bytes, object]) -> None:
    os.mkdir(path)
    for name, node in tree.items():
        below = path + b"/" + name
        if isinstance(node, dict):
            write_tree(below, node)
        elif isinstance(node, Link):
            os.symlink(node.target, below)
        else:
            assert isinstance(node, tuple)
            with open(below, "wb") as file:
                file.write(node[0])
            os.chmod(below, node[1])


def flat(tree: dict[bytes, object], prefix: bytes = b"") -> dict[str, object]:
    """Key → content and mode, or a link, or None for a folder."""
    found: dict[str, object] = {}
    for name, node in tree.items():
        key = prefix + b"/" + name
        found[os.fsdecode(key)] = None if isinstance(node, dict) else node
        if isinstance(node, dict):
            found.update(flat(node, key))
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(folders, folders)
def test_the_difference_of_any_two_trees_is_found_exactly(
    tmp_path_factory: pytest.TempPathFactory, before: dict[bytes, object], after: dict[bytes, object]
) -> None:
    tmp_path = tmp_path_factory.mktemp("t")
    write_tree(os.fsencode(tmp_path / "before"), before)
    write_tree(os.fsencode(tmp_path / "after"), after)
    was, now = flat(before), flat(after)
    expected = (
        {("removed", key) for key in was.keys() - now.keys()}
        | {("added", key) for key in now.keys() - was.keys()}
        | {("modified", key) for key in was.keys() & now.keys() if was[key] != now[key]}
    )
    with bake_tree(tmp_path / "before", tmp_path / "m") as manifest:
        clean = check_tree(str(tmp_path / "before"), manifest)
        assert clean.changes == []
        assert clean.observed == manifest.header.digest
        result = check_tree(str(tmp_path / "after"), manifest)
        by_path = check_paths(str(tmp_path / "after"), manifest, was.keys() | now.keys())
    assert found(result.changes) == expected
    assert found(by_path.changes) == expected
    with bake_tree(tmp_path / "after", tmp_path / "n") as other:
        assert result.observed == other.header.digest
