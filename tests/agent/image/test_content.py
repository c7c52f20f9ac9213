"""Contents kept beside a manifest: which, and for whom."""

import hashlib
import stat
from pathlib import Path

import pytest

from drift_agent.image.bake import bake
from drift_agent.image.content import MAX_CONTENT_BYTES, Contents, folder_of
from drift_agent.image.policy import Policy, Rule
from trees import File, make_tree


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "content",
    [b"\0", b"\xff", b"x" * (MAX_CONTENT_BYTES + 1), b"-----BEGIN RSA PRIVATE KEY-----\n"],
    ids=["NUL", "not UTF-8", "large", "key"],
)
def test_what_may_not_be_kept_is_not(tmp_path: Path, content: bytes) -> None:
    contents = Contents(str(tmp_path))
    contents.put(digest(content), content)
    assert contents.get(digest(content)) is None


def test_a_content_that_is_not_what_its_name_says_is_none(tmp_path: Path) -> None:
    contents = Contents(str(tmp_path))
    contents.put(digest(b"text"), b"text")
    assert contents.get(digest(b"text")) == b"text"
    (tmp_path / digest(b"text")).write_bytes(b"other")
    assert contents.get(digest(b"text")) is None


def test_a_bake_keeps_what_every_user_may_read_for_root_alone(tmp_path: Path) -> None:
    root = make_tree(
        tmp_path / "root",
        {
            "etc": {"open": "open\n", "closed": File("closed\n", 0o640), "sealed": "sealed\n", "bin": "\0"},
            "root": {"rc": "below a closed folder\n"},
        },
    )
    (root / "root").chmod(0o700)
    output = tmp_path / "out" / "m.jsonl"
    output.parent.mkdir()
    bake(str(root), "web", "", Policy.of([Rule("/etc/sealed", "sealed")]), str(output), keep_content=True)
    folder = Path(folder_of(str(output)))
    assert [path.read_text() for path in folder.iterdir()] == ["open\n"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
