"""Debian's AIDE and a check see the same paths change, where they look at the same attributes."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import need
from drift_agent.drift.check import check_tree
from drift_agent.image.policy import Policy, Rule
from trees import File, Link, Tree, bake_tree, make_tree

TREE: Tree = {
    "bin": {"sh": File("#!", 0o755), "other": File("##", 0o755)}, "etc": {"conf": "x=1\n", "motd": "a:1\n"},
    "gone": {"below": {"deep": "d"}}, "link": Link("etc/conf"), "empty": None, "name with ü and spaces": "n",
}  # fmt: skip
SHARED = frozenset(("type", "mode", "uid", "gid", "nlink", "target", "sha256"))
RULES = """
/ d p+u+g+ftype
/ p+u+g+n+l+ftype+sha256
"""
"""A folder's count of links tells only of the folders in it, and a check leaves it out."""

Edit = Callable[[Path], object]
EDITS: Mapping[str, Edit] = {
    "nothing": lambda root: None,
    "touched": lambda root: os.utime(root / "etc/conf", (1, 1)),
    "content": lambda root: (root / "etc/conf").write_text("x=2\n"),
    "content of the same size and time": lambda root: _rewrite(root / "etc/motd", "a:2\n"),
    "mode": lambda root: (root / "bin/sh").chmod(0o4755),
    "mode of a folder": lambda root: (root / "empty").chmod(0o1777),
    "new": lambda root: make_tree(root, {"etc/new.d": {"new": "n", "ö ": "u"}}),
    "removed": lambda root: shutil.rmtree(root / "gone"),
    "renamed": lambda root: (root / "gone").rename(root / "come"),
    "hard link": lambda root: (root / "bin/again").hardlink_to(root / "bin/sh"),
    "link target": lambda root: _replace(root / "link", lambda path: path.symlink_to("etc/motd")),
    "link to file": lambda root: _replace(root / "link", lambda path: path.write_text("x=1\n")),
    "file to link": lambda root: _replace(root / "bin/other", lambda path: path.symlink_to("sh")),
    "file to folder": lambda root: _replace(root / "etc/motd", lambda path: path.mkdir()),
    "file to pipe": lambda root: _replace(root / "etc/motd", os.mkfifo),
}
OWNERS: Mapping[str, Edit] = {
    "owner": lambda root: os.chown(root / "etc/conf", 1, -1),
    "group of a folder": lambda root: os.chown(root / "etc", -1, 1),
    "owner of a link": lambda root: os.chown(root / "link", 1, 1, follow_symlinks=False),
}


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _rewrite(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class Aide:
    """AIDE with a database of `root`."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._config = folder / "aide.conf"
        self._config.write_text(
            f"database_in=file:{folder}/aide.db\ndatabase_out=file:{folder}/aide.db\ngzip_dbout=no\n"
            f"report_format=json\nreport_url=stdout\nroot_prefix={root}\n{RULES}"
        )
        self._run("--init")

    def check(self) -> dict[str, set[str]]:
        """The paths that are `added`, `removed` and `changed`."""
        said = self._run("--check")
        report = json.loads(said) if said else {}
        return {change: set(report.get(change, ())) for change in ("added", "removed", "changed")}

    def _run(self, command: str) -> str:
        done = subprocess.run(
            [need.program("aide"), f"--config={self._config}", command], capture_output=True, text=True, check=False
        )
        assert done.returncode < 8, done.stderr  # 1, 2 and 4 say what differs; from 14 up they are errors
        return done.stdout


@pytest.mark.parametrize("name", [*EDITS, *OWNERS])
def test_aide_and_a_check_find_the_same_paths(name: str, tmp_path: Path) -> None:
    if name in OWNERS:
        need.root()
    root = make_tree(tmp_path / "root", TREE)
    aide = Aide(tmp_path, root)
    with bake_tree(root, tmp_path / "m", Policy.of([Rule("/***", attributes=SHARED)], kinds=["file"])) as manifest:
        (EDITS.get(name) or OWNERS[name])(root)
        found = check_tree(str(root), manifest)
    assert not found.unreadable
    by_aide = aide.check()
    ours = {
        aides: {change.key for change in found.changes if change.change == kind}
        for aides, kind in (("added", "added"), ("removed", "removed"), ("changed", "modified"))
    }
    assert ours == by_aide
    assert any(ours.values()) == (name not in ("nothing", "touched"))
