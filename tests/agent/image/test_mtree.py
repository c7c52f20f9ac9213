"""mtree(5): an independent tool accepts what is exported, and finds what was changed."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import need
from drift_agent.image.mtree import escaped, export
from drift_agent.image.policy import Policy, Rule
from trees import File, Link, Tree, bake_tree, make_tree

TREE: Tree = {
    "etc": {"hosts": "x\n", "hostname": "a\n", "we ird*[?]#\\$": "y", "ü\n": "z", "link": Link("a b*")},
    "usr/bin": {"tool": File("#!", 0o4755)},
    "tmp": {"scratch": "x"},
    "proc": {"1": {"status": "x"}},
    "var/lib/cloud": {"state": "x", "scripts": {"per-boot": {"run": "x"}}},
}
POLICY = Policy.of(
    [
        Rule("/tmp/**", "ignored"),
        Rule("/proc/***", "ignored"),
        Rule("/var/lib/cloud/***", "ignored"),
        Rule("/var/lib/cloud/scripts/per-*/**"),
        Rule("/etc/{hostname,machine-id}", "sealed"),
    ]
)


def mtree(root: Path, tmp_path: Path, policy: Policy = POLICY) -> Callable[[], tuple[int, str]]:
    """Bakes and exports; gives a function that runs mtree on the tree: its exit code and what it says."""
    program = need.program("mtree", "mtree-netbsd")
    with bake_tree(root, tmp_path / "m", policy) as manifest:
        (tmp_path / "spec").write_text("".join(export(manifest)))

    def run() -> tuple[int, str]:
        done = subprocess.run(
            [program, "-p", str(root), "-f", str(tmp_path / "spec")], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_an_untouched_tree_is_accepted(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root", TREE)
    (root / os.fsdecode(b"\xff\xfe")).write_text("bytes")
    os.mkfifo(root / "fifo")
    code, said = mtree(root, tmp_path, Policy.of([rule for rule in POLICY.rules if "cloud" not in rule.path]))()
    assert (code, said) == (0, "")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda root: (root / "etc/hosts").write_text("y\n"), "etc/hosts"),
        (lambda root: (root / "usr/bin/tool").chmod(0o755), "tool"),
        (lambda root: (root / "etc/new").write_text(""), "etc/new"),
        (lambda root: (root / "usr/bin/tool").unlink(), "tool"),
        (lambda root: os.link(root / "etc/hosts", root / "tmp/h"), "etc/hosts"),
    ],
)
def test_what_was_changed_is_found(tmp_path: Path, change: Callable[[Path], object], named: str) -> None:
    root = make_tree(tmp_path / "root", TREE)
    run = mtree(root, tmp_path)
    change(root)
    assert named in run()[1]


def test_what_is_ignored_or_sealed_may_differ(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root", {name: TREE[name] for name in ("etc", "tmp", "proc")})
    run = mtree(root, tmp_path)
    (root / "etc/hostname").write_text("other, and longer\n")
    (root / "tmp/more").write_text("x")
    (root / "proc/2").write_text("x")
    assert run() == (0, "")


def test_every_folder_above_an_item_is_listed(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root", TREE)
    with bake_tree(root, tmp_path / "m", POLICY) as manifest:
        names = [line.split(" ")[0] for line in export(manifest)]
    for folder in ("./var/lib/cloud", "./var/lib/cloud/scripts", "./var/lib/cloud/scripts/per-boot"):
        assert names.index(folder) < names.index("./var/lib/cloud/scripts/per-boot/run")


def test_blanks_and_bytes_are_octal_and_globs_stand_behind_a_backslash() -> None:
    assert escaped("/") == "."
    assert escaped("/a b#\\]\n\udcff") == "./a\\040b\\043\\134\\135\\012\\377"
    assert escaped("/*/a?[\\b]") == "./\\134\\052/a\\134\\077\\134\\133\\134\\134b\\134\\135"


def test_a_name_that_looks_like_a_glob_is_that_one_name(tmp_path: Path) -> None:
    names = ("f*", "f?", "f[a]", "fa", "d*/[x]", "dx/x", "b\\*", "b\\", "]")
    root = make_tree(tmp_path / "root", {name: name for name in names})
    run = mtree(root, tmp_path)
    assert run() == (0, "")
    (root / "f*").write_text("X")
    (root / "d*/[x]").unlink()
    said = run()[1]
    assert "f*" in said
    assert "missing: ./d\\*/\\[x\\]" in said
    assert "fa:" not in said
