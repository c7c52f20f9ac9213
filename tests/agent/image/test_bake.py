"""Baking: deterministic, whole or not at all, and never in silence about what it could not read."""

import os
from pathlib import Path

import pytest

from drift_agent.drift.check import check_tree
from drift_agent.errors import ConfigError, IncompleteError, InputError
from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy, Rule
from trees import File, Link, Tree, make_tree

TREE: Tree = {
    "etc": {"hostname": "golden\n", "os-release": 'ID=debian\nVERSION_ID="12"\n', "motd": "hi\n"},
    "usr/bin/tool": File("#!/bin/sh\n", 0o755),
    "bin": Link("usr/bin"),
    "tmp": {"scratch": "x"},
}
POLICY = Policy.of([Rule("/tmp/**", "ignored"), Rule("/etc/hostname", "sealed")])


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        root = make_tree(tmp_path / name, TREE)
        os.utime(root / "etc" / "motd", (1, 1 if name == "one" else 2))
        bake(str(root), "web", "7", POLICY, str(tmp_path / f"{name}.jsonl"), built="2026-01-01T00:00:00Z")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_the_header_is_the_images_stamp(tmp_path: Path) -> None:
    header = bake(str(make_tree(tmp_path / "r", TREE)), "web", "7", POLICY, str(tmp_path / "m"))
    assert header.stamp == "web@7"
    assert header.os == {"id": "debian", "version_id": "12"}
    assert header.hostname == "golden"
    assert header.built == ""
    with Manifest.open(str(tmp_path / "m")) as manifest:
        assert manifest.header == header
        keys = [item.key for item in manifest.items() if item.kind == "file"]
    assert keys == [
        "/", "/bin", "/etc", "/etc/hostname", "/etc/motd", "/etc/os-release", "/tmp", "/usr", "/usr/bin",
        "/usr/bin/tool",
    ]  # fmt: skip


def test_the_digest_covers_what_is_frozen_and_not_what_is_sealed(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "r", TREE)
    digests = [bake(str(root), "web", "", POLICY, str(tmp_path / "m")).digest]
    (root / "etc" / "hostname").write_text("other\n")
    digests.append(bake(str(root), "web", "", POLICY, str(tmp_path / "m")).digest)
    (root / "etc" / "motd").write_text("other\n")
    digests.append(bake(str(root), "web", "", POLICY, str(tmp_path / "m")).digest)
    assert digests[0] == digests[1] != digests[2]
    assert digests[0].startswith("1:sha256:")


def test_a_manifest_in_its_own_tree_leaves_itself_out(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "r", {**TREE, "usr/lib/driftline": {"content": {"ab": "x"}, "note": "y"}})
    output = root / "usr/lib/driftline/manifest.jsonl"
    first = bake(str(root), "web", "", POLICY, str(output))
    assert bake(str(root), "web", "", POLICY, str(output)) == first
    with Manifest.open(str(output)) as manifest:
        keys = {item.key for item in manifest.items() if "driftline" in item.key}
    assert keys == {"/usr/lib/driftline", "/usr/lib/driftline/note"}


@pytest.mark.parametrize("folder", ["usr/lib/driftline", "opt/{odd}*"])
def test_a_manifest_anywhere_in_its_own_tree_is_no_drift(tmp_path: Path, folder: str) -> None:
    root = make_tree(tmp_path / "r", {**TREE, folder: {"note": "y"}})
    output = str(root / folder / "m.jsonl" if "odd" in folder else root / folder / "manifest.jsonl")
    bake(str(root), "web", "", POLICY, output, keep_content=True)
    Path(f"{output}.sig").write_text("signature")
    with Manifest.open(output) as manifest:
        result = check_tree(str(root), manifest)
        assert result.changes == []
        assert result.observed == manifest.header.digest
        assert manifest.find("file", f"/{folder}/note") is not None


def test_progress_is_told(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "r", {str(n): "" for n in range(600)})
    told: list[int] = []
    bake(str(root), "web", "", POLICY, str(tmp_path / "m"), progress=told.append)
    assert told == [256, 512]


def test_a_folder_that_vanishes_during_the_bake_fails_it_in_any_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "r", TREE)
    real_open, opened = os.open, []

    def open_and_vanish(path: str, flags: int, *more: int, **options: int) -> int:
        if path == "bin":
            opened.append(path)
            if len(opened) == 2:
                os.rename(root / "usr/bin", root / "tmp/bin")
        return real_open(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", open_and_vanish)
    with pytest.raises(IncompleteError, match="/usr/bin: No such file"):
        bake(str(root), "web", "", POLICY, str(tmp_path / "m"), allow_unreadable=True)


def test_a_root_that_an_agent_used_is_refused(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "r", {"var/lib/driftline/state.db": "x"})
    with pytest.raises(InputError, match="state of an agent that ran"):
        bake(str(root), "web", "", POLICY, str(tmp_path / "m"))
    only_etc = Policy.of([Rule("/***", "ignored"), Rule("/etc/***")])
    bake(str(root), "web", "", only_etc, str(tmp_path / "m"))


@pytest.mark.parametrize(("image", "version"), [("", ""), ("a b", ""), ("a", "1\n"), ("a" * 201, ""), ("-a", "")])
def test_names_that_cannot_stand_in_a_tag_are_refused(tmp_path: Path, image: str, version: str) -> None:
    with pytest.raises(ConfigError, match="may hold"):
        bake(str(tmp_path), image, version, POLICY, str(tmp_path / "m"))


@pytest.mark.parametrize(("count", "why"), [(10_001, ""), (100, "x" * 30_000)])
def test_a_policy_that_no_manifest_can_hold_is_refused(tmp_path: Path, count: int, why: str) -> None:
    """It was baked, and nobody could open the manifest."""
    policy = Policy.of([Rule(f"/etc/{number}", why=why) for number in range(count)])
    with pytest.raises(ConfigError, match="fewer globs"):
        bake(str(make_tree(tmp_path / "r", TREE)), "web", "7", policy, str(tmp_path / "m"))
    assert not (tmp_path / "m").exists()


def test_an_output_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        bake(str(make_tree(tmp_path / "r", TREE)), "web", "", POLICY, str(tmp_path / "none" / "m"))


def test_a_bake_that_cannot_begin_leaves_nothing_behind(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "r", TREE)
    (tmp_path / "folder").mkdir()
    for tree, output in ((tmp_path / "none", "m"), (root, "folder")):
        with pytest.raises(InputError):
            bake(str(tree), "web", "", POLICY, str(tmp_path / output), keep_content=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "r"]


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to read as another user and come back")
def test_what_cannot_be_read_fails_the_bake_or_is_recorded(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "r", {"a": File("x", 0o600), "d": {"x": "1"}, "z": "1"})
    (root / "d").chmod(0o700)
    for parent in [tmp_path, *tmp_path.parents]:
        parent.chmod(parent.stat().st_mode & 0o7777 | 0o755)
    tmp_path.chmod(0o777)
    os.seteuid(65534)
    try:
        with pytest.raises(IncompleteError, match="/a: Permission denied; /d: Permission denied; bake as root"):
            bake(str(root), "web", "", POLICY, str(tmp_path / "m"))
        assert not (tmp_path / "m").exists()
        header = bake(str(root), "web", "", POLICY, str(tmp_path / "m"), allow_unreadable=True)
    finally:
        os.seteuid(0)
    assert header.unreadable == 2
    with Manifest.open(str(tmp_path / "m")) as manifest:
        item = manifest.find("file", "/a")
        assert item is not None
        assert item.attributes["unreadable"] is True
        assert "sha256" not in item.attributes
