"""`drift image keygen`, `sign`, `verify`, `export`, `diff`, `learn`: exit codes and what is said."""

import json
from pathlib import Path

import jsonschema
import pytest
import typer

from commands import Commands
from drift_agent.cli import image
from drift_collector.report.document import schema
from trees import make_tree


def register(app: typer.Typer) -> None:
    app.add_typer(image.app, name="image")


@pytest.fixture
def drift(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(register, capsys=capsys)


def bake(drift: Commands, tmp_path: Path, name: str, text: str) -> str:
    root = make_tree(tmp_path / name, {"etc/motd": text})
    path = str(tmp_path / f"{name}.jsonl")
    assert drift("image", "bake", "--root", str(root), "--image", name, "-o", path).code == 0
    return path


def test_a_signed_manifest_verifies_and_a_changed_one_is_held(drift: Commands, tmp_path: Path) -> None:
    manifest = bake(drift, tmp_path, "a", "x")
    key, public = str(tmp_path / "key"), str(tmp_path / "key.pub")
    assert drift("image", "keygen", "--key", key, "--public", public).out.startswith("SHA256:")
    assert drift("image", "sign", "--manifest", manifest, "--key", key).out == f"{manifest}.sig\n"
    ended = drift("image", "verify", "--manifest", manifest, "--public", public)
    assert ended.code == 0
    assert ended.out.startswith("good: a, 3 items, signed by SHA256:")
    raw = Path(manifest).read_bytes()
    Path(manifest).write_bytes(raw.replace(b'"uid":0', b'"uid":1').replace(b'"mode":"0644"', b'"mode":"4644"'))
    ended = drift("image", "verify", "--manifest", manifest, "--public", public)
    assert ended.code == 3
    assert "does not fit" in ended.err


def test_the_manifest_is_exported_to_a_file_or_shown(drift: Commands, tmp_path: Path) -> None:
    manifest = bake(drift, tmp_path, "a", "x")
    shown = drift("image", "export", "--manifest", manifest, "--format", "mtree")
    assert shown.out.startswith("#mtree v2.0\n")
    assert drift("image", "export", "--manifest", manifest, "-o", str(tmp_path / "spec")).code == 0
    assert (tmp_path / "spec").read_text() == shown.out


def test_images_that_differ_end_with_2(drift: Commands, tmp_path: Path) -> None:
    first, second = bake(drift, tmp_path, "a", "x"), bake(drift, tmp_path, "b", "y")
    ended = drift("image", "diff", first, second)
    assert (ended.code, ended.out) == (2, "a → b\n~ file /etc/motd\n")
    document = json.loads(drift("image", "diff", first, second, "--format", "json").out)
    jsonschema.validate(document, schema("driftline.image-diff/1"))
    assert document["groups"][0]["changes"][0]["key"] == "/etc/motd"
    ended = drift("image", "diff", first, first)
    assert (ended.code, ended.out) == (0, "a → a\nno difference\n")


def test_images_that_hold_the_same_and_compare_it_differently_differ(drift: Commands, tmp_path: Path) -> None:
    """What is sealed in one of them alone is drift in the other."""
    first = bake(drift, tmp_path, "a", "x")
    (tmp_path / "policy.toml").write_text('[[rule]]\npath = "/etc/motd"\nclass = "sealed"\n')
    second = str(tmp_path / "sealed.jsonl")
    given = ("--root", str(tmp_path / "a"), "--image", "a", "--policy", str(tmp_path / "policy.toml"))
    assert drift("image", "bake", *given, "-o", second).code == 0
    ended = drift("image", "diff", first, second)
    assert ended.code == 2
    assert "~ policy generic" in ended.out
    document = json.loads(drift("image", "diff", first, second, "--format", "json").out)
    jsonschema.validate(document, schema("driftline.image-diff/1"))
    assert document["before"]["policy"] != document["after"]["policy"]


def test_images_with_other_mounts_differ(drift: Commands, tmp_path: Path) -> None:
    """What is mounted there is drift in one of them alone, and what a second seal means differs."""
    first = bake(drift, tmp_path, "a", "x")
    second = str(tmp_path / "mounted.jsonl")
    given = ("--root", str(tmp_path / "a"), "--image", "a", "--mount", "/=overlay", "--mount", "/srv")
    assert drift("image", "bake", *given, "-o", second).code == 0
    ended = drift("image", "diff", first, second)
    assert (ended.code, ended.out) == (2, "a → a\n+ mount / overlay\n+ mount /srv\n")
    document = json.loads(drift("image", "diff", first, second, "--format", "json").out)
    jsonschema.validate(document, schema("driftline.image-diff/1"))
    assert (document["before"]["mounts"], document["after"]["mounts"]) == ({}, {"/": "overlay", "/srv": ""})


def test_rules_are_learnt_from_documents(drift: Commands, tmp_path: Path) -> None:
    manifest = bake(drift, tmp_path, "a", "x")
    names = []
    for boot in "12":
        (tmp_path / "a/etc/motd").write_text(boot)
        names.append(str(tmp_path / f"{boot}.json"))
        checked = ("image", "check", "--root", str(tmp_path / "a"), "--manifest", manifest, "--format", "json")
        assert drift(*checked, "-o", names[-1]).code == 2
    ended = drift("image", "learn", *names)
    assert ended.code == 0
    assert 'path = "/etc/motd"\nclass = "sealed"' in ended.out
    assert drift("image", "learn", names[0]).code == 64
    (tmp_path / "1.json").write_text("{")
    ended = drift("image", "learn", *names)
    assert (ended.code, ended.err) == (1, f"drift: {names[0]}: is not JSON\n")
