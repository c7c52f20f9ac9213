"""`drift image`: exit codes, documents, and what is said."""

import hashlib
import json
import os
from pathlib import Path

import jsonschema
import pytest
import typer

from commands import Commands
from drift_agent.cli import image
from trees import File, make_tree

SCHEMAS = Path(__file__).parents[3] / "collector" / "drift_collector" / "report" / "schemas"


def register(app: typer.Typer) -> None:
    app.add_typer(image.app, name="image")


@pytest.fixture
def drift(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(register, capsys=capsys)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "root", {"etc": {"motd": "hi\n", "hostname": "a\n"}, "usr/bin/tool": File("x", 0o755)})


@pytest.fixture
def manifest(drift: Commands, root: Path, tmp_path: Path) -> str:
    path = str(tmp_path / "m.jsonl")
    ended = drift("image", "bake", "--root", str(root), "--image", "web", "--version", "7", "-o", path)
    assert ended.code == 0
    assert "web@7" in ended.out
    return path


def test_an_equal_tree_ends_with_0(drift: Commands, root: Path, manifest: str) -> None:
    ended = drift("image", "check", "--root", str(root), "--manifest", manifest)
    assert ended.code == 0
    assert ended.out.startswith("clean: ")
    assert ended.err == ""


def test_a_difference_ends_with_2_and_is_shown_with_control_characters_escaped(
    drift: Commands, root: Path, manifest: str
) -> None:
    (root / "etc/motd").write_text("other\n")
    (root / "etc/\x1b[31mred\n").write_text("")
    ended = drift("image", "check", "--root", str(root), "--manifest", manifest)
    assert ended.code == 2
    assert "~ file /etc/motd\n    sha256: " in ended.out
    assert "+ file /etc/\\x1b[31mred\\n" in ended.out
    assert "\x1b" not in ended.out
    assert "1 added, 0 removed, 1 modified" in ended.out


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="extended attributes are Linux's here")
def test_xattrs_of_any_name_are_baked_and_checked_and_shown_escaped(
    drift: Commands, root: Path, tmp_path: Path
) -> None:
    for name in (b'user.a"b', b"user.a\\b", b"user.\xff", b"user.new\nline", b"user.\x1b[31m", "user.\u202e".encode()):
        os.setxattr(root / "etc/motd", name, b"x")
    manifest = str(tmp_path / "m.jsonl")
    assert drift("image", "bake", "--root", str(root), "--image", "web", "-o", manifest).code == 0
    assert drift("image", "check", "--root", str(root), "--manifest", manifest).code == 0
    os.setxattr(root / "etc/motd", b"user.\x1b[31m", b"y")
    os.removexattr(root / "etc/motd", "user.\u202e".encode())
    ended = drift("image", "check", "--root", str(root), "--manifest", manifest)
    assert ended.code == 2
    assert "    xattr.user.\\x1b[31m: " in ended.out
    assert "    xattr.user.\\u202e: " in ended.out


@pytest.mark.parametrize("content", ["hi\n", "evil\n"])
def test_a_manifest_whose_items_are_not_those_of_its_digest_is_no_verdict(
    drift: Commands, root: Path, manifest: str, content: str
) -> None:
    """A line that was made to fit a change must not read as clean, nor a flipped bit as drift."""
    before, evil = (hashlib.sha256(text).hexdigest() for text in (b"hi\n", b"evil\n"))
    path = Path(manifest)
    path.write_text(path.read_text().replace(before, evil))
    (root / "etc/motd").write_text(content)
    ended = drift("image", "check", "--root", str(root), "--manifest", manifest)
    assert (ended.code, ended.out) == (1, "")
    assert "its items do not add up to the digest in its header" in ended.err


def test_more_changes_than_are_listed_are_counted(
    drift: Commands, root: Path, manifest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drift_agent.drift.compare.MAX_CHANGES", 1)
    for name in ("one", "two", "three"):
        (root / name).write_text("")
    ended = drift("image", "check", "--root", str(root), "--manifest", manifest)
    assert ended.code == 2
    assert "1 added, 0 removed, 0 modified, 2 more changes not listed" in ended.out
    ended = drift("image", "check", "--root", str(root), "--manifest", manifest, "--format", "json")
    document = json.loads(ended.out)
    assert (len(document["changes"]), document["omitted"]) == (1, 2)


def test_a_sealed_difference_counts_only_when_strict(drift: Commands, root: Path, manifest: str) -> None:
    (root / "etc/hostname").write_text("web-1\n")
    ended = drift("image", "check", "--root", str(root), "--manifest", manifest)
    assert ended.code == 0
    assert "[sealed]" in ended.out
    assert drift("image", "check", "--root", str(root), "--manifest", manifest, "--strict").code == 2


def test_the_document_names_its_schema_and_lists_each_change(
    drift: Commands, root: Path, manifest: str, tmp_path: Path
) -> None:
    (root / "etc/motd").unlink()
    (root / "etc/\udcff").write_text("")
    output = tmp_path / "check.json"
    ended = drift("image", "check", "--root", str(root), "--manifest", manifest, "--format", "json", "-o", str(output))
    assert ended.code == 2
    assert ended.out == ""
    document = json.loads(output.read_text())
    assert document["schema"] == "driftline.check/1"
    assert document["state"] == "drifted"
    removed, added = document["changes"]
    assert removed["key"] == "/etc/motd"
    assert removed["attributes"]["type"] == {"expected": "file", "actual": None}
    assert added["key_base64"] == "L2V0Yy//"
    assert added["key"] == "/etc/\\xff"


def test_every_document_is_of_its_schema(drift: Commands, root: Path, manifest: str) -> None:
    schema = json.loads((SCHEMAS / "check-1.json").read_text())
    for change in (lambda: None, lambda: (root / "etc/\udcff").write_text("x"), (root / "etc/motd").unlink):
        change()
        ended = drift("image", "check", "--root", str(root), "--manifest", manifest, "--format", "json")
        jsonschema.validate(json.loads(ended.out), schema)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("check", "--root", "/none", "--manifest", "M"), 1, "cannot be opened as a root folder"),
        (("check", "--root", "R", "--manifest", "/none"), 1, "bake one with"),
        (("check", "--root", "R", "--manifest", "M", "--format", "xml"), 64, "xml"),
        (("bake", "--root", "R", "--image", "a b", "-o", "O"), 64, "may hold"),
        (("bake", "--root", "R", "--image", "a", "--profile", "arch", "-o", "O"), 64, "there is no profile"),
        (("bake", "--root", "R", "--image", "a", "--built", "today", "-o", "O"), 64, "is no time"),
        (("bake", "--root", "R", "--image", "a", "--built", "2026-01-01T00:00:00", "-o", "O"), 64, "no time zone"),
        (("explain", "etc"), 64, "beginning with '/'"),
        (("explain", "/etc/../tmp/x"), 64, "without '.' and '..'"),
        (("sign", "--manifest", "/etc/passwd", "--key", "/none"), 1, "the header is not JSON"),
        (("explain", "tcp *:22", "--kind", "port"), 64, "none of file, group, package"),
        (("explain", "/etc", "--manifest", "M", "--profile", "debian"), 64, "not both"),
    ],
)
def test_mistakes_end_with_one_sentence_and_their_code(
    drift: Commands, root: Path, manifest: str, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    places = {"R": str(root), "M": manifest, "O": str(tmp_path / "o")}
    ended = drift("image", *(places.get(argument, argument) for argument in arguments))
    assert ended.code == code
    assert message in ended.err
    assert ended.err.count("\n") == 1


def test_the_time_of_the_build_is_given_and_never_read_from_a_clock(
    drift: Commands, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(*more: str) -> str:
        path = tmp_path / "b.jsonl"
        assert drift("image", "bake", "--root", str(root), "--image", "a", "-o", str(path), *more).code == 0
        return str(json.loads(path.read_bytes().split(b"\n")[0])["built"])

    assert built() == ""
    assert built("--built", "2026-01-31T12:00:00+02:00") == "2026-01-31T10:00:00Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert built() == "1970-01-02T00:00:00Z"


@pytest.mark.parametrize("time", ["soon", "2026-01-31", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"])
def test_a_time_of_the_build_that_is_none_is_a_mistake(drift: Commands, root: Path, tmp_path: Path, time: str) -> None:
    ended = drift("image", "bake", "--root", str(root), "--image", "a", "-o", str(tmp_path / "b"), "--built", time)
    assert ended.code == 64
    assert ended.err.startswith(f"drift: --built '{time}': ")


def test_explain_names_class_rule_layer_and_reason(drift: Commands, manifest: str) -> None:
    ended = drift("image", "explain", "/etc/machine-id", "--profile", "debian")
    assert ended.code == 0
    assert ended.out.startswith("/etc/machine-id: sealed, severity high\n")
    assert "from generic: /etc/{machine-id" in ended.out
    assert "identity" in ended.out
    assert "no rule names it" in drift("image", "explain", "/usr/bin/x", "--manifest", manifest).out
    assert "from cloud-init" in drift("image", "explain", "/etc/fstab", "--profile", "debian").out
    assert "frozen" in drift("image", "explain", "/etc/fstab", "--profile", "debian", "--no-cloud-init").out


def test_explain_says_where_a_link_would_lead_away_from_what_is_named(drift: Commands) -> None:
    assert "a link there is sealed" in drift("image", "explain", "/var/lib/kubelet", "--profile", "debian").out
    for other in ("/var/lib/docker", "/var/lib/kubelet/config.yaml", "/etc"):
        assert "a link there" not in drift("image", "explain", other, "--profile", "debian").out


def test_explain_tells_of_items_that_are_no_files_too(drift: Commands, tmp_path: Path) -> None:
    rules = '[[rule]]\nkind = "socket"\npath = "tcp *:8443"\nclass = "ignored"\nwhy = "ours"\n'
    (tmp_path / "policy.toml").write_text(f'kinds = ["file", "service"]\n{rules}')

    def explain(key: str, kind: str) -> str:
        ended = drift("image", "explain", key, "--kind", kind, "--policy", str(tmp_path / "policy.toml"))
        assert ended.code == 0
        return ended.out

    named = explain("tcp 0.0.0.0:8443", "socket")
    assert named.startswith("socket tcp 0.0.0.0:8443: ignored, severity medium\n")
    assert "from policy.toml: tcp *:8443\n  ours\n" in named
    unnamed = explain("tcp 0.0.0.0:22", "socket")
    assert unnamed.startswith("socket tcp 0.0.0.0:22: sealed, severity high\n")
    assert "stood at the seal" in unnamed
    assert "its file must be one of the image's" in explain("nf_tables", "module")
    assert "leaves the kind sysctl out" in explain("net.ipv4.ip_forward", "running_sysctl")
    assert "must equal the image" in explain("ssh.service", "service")
