"""Single files of a tree: links lead where they would on the machine itself, and nowhere else."""

import os
from pathlib import Path

import pytest

from drift_agent.errors import InputError
from drift_agent.image.rootfs import RootFiles
from trees import Link, make_tree


@pytest.fixture
def files(tmp_path: Path) -> RootFiles:
    make_tree(
        tmp_path / "root",
        {
            "etc": {"real": "text", "absolute": Link("/etc/real"), "loop": Link("loop")},
            "etc/up": Link("../../../etc/real"),
            "lib": Link("usr/lib"),
            "usr/lib": {"x": "deep"},
        },
    )  # fmt: skip
    (tmp_path / "outside").write_text("secret")
    os.symlink("../../outside", tmp_path / "root/etc/escape")
    os.mkfifo(tmp_path / "root/etc/fifo")
    return RootFiles(str(tmp_path / "root"))


def test_links_are_followed_within_the_root(files: RootFiles) -> None:
    assert files.text("/etc/real") == files.text("/etc/absolute") == files.text("/etc/up") == "text"
    assert files.text("/lib/x") == "deep"
    assert files.names("/lib") == ["x"]
    assert files.target("/lib") == "usr/lib"


@pytest.mark.parametrize("key", ["/etc/escape", "/etc/loop", "/etc/none", "/etc/real/x", "/etc", "/etc/fifo"])
def test_what_is_no_file_of_the_tree_is_not_there(files: RootFiles, key: str) -> None:
    assert files.text(key) is None


def test_a_file_is_no_link_and_no_folder(files: RootFiles) -> None:
    assert files.target("/etc/real") is None
    assert files.names("/etc/real") == []


def test_a_file_beyond_the_limit_is_an_error_and_not_a_part_of_it(files: RootFiles) -> None:
    with pytest.raises(OSError, match="large"):
        files.read("/etc/real", limit=3)


def test_a_root_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        RootFiles(str(tmp_path / "none"))
