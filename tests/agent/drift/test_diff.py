"""Diffs: right, bounded, without secrets; and how a check makes them."""

import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.check import check_tree
from drift_agent.drift.check_paths import check_paths
from drift_agent.drift.diff import MAX_DIFF_BYTES, unified
from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy, Rule
from effort import LINEAR, growth
from trees import make_tree

lines = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=20)


@given(lines, lines)
def test_it_is_the_unified_diff_that_the_library_makes(before: list[str], after: list[str]) -> None:
    """Up to how it aligns: what is removed and added turns one text into the other."""
    text = unified("/f", "\n".join(before), "\n".join(after)).split("\n")[2:]
    removed = [line[1:] for line in text if line.startswith("-")]
    added = [line[1:] for line in text if line.startswith("+")]
    library = list(difflib.unified_diff("\n".join(before).split("\n"), "\n".join(after).split("\n"), lineterm=""))[2:]
    assert len(removed) - len(added) == len("\n".join(before).split("\n")) - len("\n".join(after).split("\n"))
    assert bool(removed or added) == bool(library)


def test_hunks_count_lines_from_the_beginning_of_the_file() -> None:
    before = [str(number) for number in range(1, 101)]
    after = [*before[:49], "fifty", *before[50:]]
    assert unified("/f", "\n".join(before), "\n".join(after)).split("\n") == [
        "--- /f (image)",
        "+++ /f (now)",
        "@@ -47,7 +47,7 @@",
        " 47",
        " 48",
        " 49",
        "-50",
        "+fifty",
        " 51",
        " 52",
        " 53",
    ]


def test_the_newline_at_the_end_of_a_file_is_no_line() -> None:
    assert unified("/f", "one\n", "two\n").split("\n")[2:] == ["@@ -1 +1 @@", "-one", "+two"]
    assert unified("/f", "one\n", "one").split("\n")[3:] == [" one", "-"]


def test_a_diff_is_bounded_in_size_and_time() -> None:
    def two(count: int) -> tuple[str, str]:
        return "\n".join(map(str, range(count))), "\n".join(map(str, range(count, 0, -1)))

    text = unified("/f", *two(15_000))
    assert len(text.encode()) <= MAX_DIFF_BYTES
    assert text.endswith("cut at 16 KiB")
    assert growth(two, lambda pair: unified("/f", *pair), 5_000) < LINEAR


def test_secrets_are_not_in_it() -> None:
    text = unified("/f", "user = a\npassword = old\n", "user = b\npassword = new\n")
    assert "+user = b" in text
    assert "+password = [redacted]" in text
    assert "new" not in text.replace("(now)", "")
    assert "old" not in text


@pytest.mark.usefixtures("unhurried")
def test_a_check_shows_what_was_kept_at_the_bake(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root", {"etc": {"motd": "one\ntwo\n", "sealed": "one\n", "private": "one\n"}})
    policy = Policy.of([Rule("/etc/sealed", "sealed")])
    bake(str(root), "web", "", policy, str(tmp_path / "m"), keep_content=True)
    for name in ("motd", "sealed", "private"):
        (root / "etc" / name).write_text("one\nthree\n")
    (root / "etc/private").chmod(0o600)
    with Manifest.open(str(tmp_path / "m")) as manifest:
        for result in (
            check_tree(str(root), manifest),
            check_paths(str(root), manifest, ["/etc/motd", "/etc/sealed", "/etc/private"]),
        ):
            diffs = {change.key: change.diff for change in result.changes}
            assert "-two\n+three" in diffs["/etc/motd"]
            assert diffs["/etc/sealed"] == diffs["/etc/private"] == ""
