"""Which changes are shown as diffs: contents that were kept, as they were compared, and not beyond a number."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from drift_agent.drift import content_diff
from drift_agent.drift.content_diff import with_diffs
from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy
from drift_agent.model import Change
from trees import File, make_tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "root", {"etc": {"motd": "old\n", "issue": "old\n", "shadow": File("old\n", 0o640)}})


def baked(root: Path, *, keep: bool = True) -> Manifest:
    output = root.parent / "m.jsonl"
    bake(str(root), "web", "", Policy.of([]), str(output), keep_content=keep)
    return Manifest.open(str(output))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def changed(root: Path, name: str, text: str = "new\n") -> Change:
    """Writes another content, and says so as a check would."""
    (root / "etc" / name).write_text(text)
    return Change(
        "file", f"/etc/{name}", "modified", expected={"sha256": digest("old\n")}, actual={"sha256": digest(text)}
    )


def test_a_content_that_was_kept_is_shown_as_what_became_of_it(root: Path) -> None:
    with baked(root) as manifest:
        (change,) = with_diffs(str(root), manifest, [changed(root, "motd")])
    assert change.diff.split("\n")[3:] == ["-old", "+new"]


@pytest.mark.parametrize(
    "other",
    [
        {"path_class": "sealed"},
        {"change": "removed"},
        {"actual": {"mode": "0600"}},
        {"key": "/etc/none"},
        {"expected": {"sha256": digest("never kept")}},
        {"actual": {"sha256": digest("changed again meanwhile")}},
    ],
    ids=str,
)
def test_what_is_not_of_a_kept_content_or_is_not_what_was_compared_is_left_as_it_is(
    root: Path, other: dict[str, object]
) -> None:
    with baked(root) as manifest:
        change = replace(changed(root, "motd"), **other)  # type: ignore[arg-type]
        assert with_diffs(str(root), manifest, [change]) == [change]


@pytest.mark.parametrize("text", ["binary\0", "x" * (64 << 10) + "\n"])
def test_what_is_no_small_text_any_more_is_not_shown(root: Path, text: str) -> None:
    with baked(root) as manifest:
        change = changed(root, "motd", text)
        assert with_diffs(str(root), manifest, [change]) == [change]


def test_what_not_every_user_may_read_is_not_shown_though_its_old_content_was(root: Path) -> None:
    with baked(root) as manifest:
        change = changed(root, "motd")
        (root / "etc/motd").chmod(0o600)
        assert with_diffs(str(root), manifest, [change]) == [change]
        secret = changed(root, "shadow")
        assert with_diffs(str(root), manifest, [secret]) == [secret]


def test_where_no_content_was_kept_nothing_is_shown(root: Path) -> None:
    with baked(root, keep=False) as manifest:
        change = changed(root, "motd")
        assert with_diffs(str(root), manifest, [change]) == [change]


def test_beyond_a_number_of_diffs_changes_stay_without_and_none_is_lost(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_diff, "MAX_DIFFS", 1)
    with baked(root) as manifest:
        missed = replace(changed(root, "issue"), key="/etc/none")  # no diff, and so none of the number
        changes = [missed, changed(root, "motd"), changed(root, "issue")]
        shown = with_diffs(str(root), manifest, changes)
    assert [change.key for change in shown] == ["/etc/none", "/etc/motd", "/etc/issue"]
    assert [bool(change.diff) for change in shown] == [False, True, False]
