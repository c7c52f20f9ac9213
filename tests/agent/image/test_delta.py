"""Image against image: an upgrade reads as one line with its files beneath it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from drift_agent.errors import ManifestError
from drift_agent.image.bake import bake
from drift_agent.image.delta import delta, grouped, owners_of
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy
from drift_agent.image.policy_file import load_policy
from trees import Tree, bake_tree, make_tree


def image(version: str, *, more: Tree | None = None) -> Tree:
    return {
        "usr/bin": {"tool": f"tool {version}", "mine": f"mine {version}", "same": "same"},
        "var/lib/dpkg": {
            "status": f"Package: tool\nArchitecture: amd64\nVersion: {version}\n",
            "info": {"tool.list": "/.\n/usr\n/usr/bin\n/usr/bin/tool\n", "tool.md5sums": version},
        },
        **(more or {}),
    }


def bake_both(tmp_path: Path, first: Tree, second: Tree) -> tuple[Manifest, Manifest]:
    manifests = []
    for name, tree in (("a", first), ("b", second)):
        root = make_tree(tmp_path / name / "root", tree)
        output = str(tmp_path / name / "m.jsonl")
        bake(str(root), "web", name, load_policy(None, "debian"), output, keep_content=True)
        manifests.append(Manifest.open(output))
    return manifests[0], manifests[1]


def test_an_upgrade_is_one_line_with_its_files_beneath_it(tmp_path: Path) -> None:
    first, second = bake_both(tmp_path, image("1"), image("2"))
    changes = list(delta(first, second))
    groups = grouped(changes, owners_of(changes, first, second))
    assert [(group.package and group.package.key, [change.key for change in group.files]) for group in groups] == [
        ("tool:amd64", ["/usr/bin/tool", "/var/lib/dpkg/info/tool.md5sums"]),
        (None, ["/usr/bin/mine"]),
    ]
    assert groups[0].package is not None
    assert (groups[0].package.expected, groups[0].package.actual) == ({"version": "1"}, {"version": "2"})


def test_what_came_and_what_went_is_told(tmp_path: Path) -> None:
    first, second = bake_both(tmp_path, image("1", more={"old": "x"}), image("1", more={"new": {"er": "x"}}))
    assert [(change.change, change.key) for change in delta(first, second)] == [
        ("added", "/new"),
        ("added", "/new/er"),
        ("removed", "/old"),
    ]


def edited(manifest: Manifest, change: Callable[[list[bytes]], None], **header: object) -> Manifest:
    """A copy of the manifest with other lines behind its header, and with other values in it."""
    first, *lines = Path(manifest.path).read_bytes().splitlines(keepends=True)
    change(lines)
    values = json.loads(first) | {"length": len(b"".join(lines))} | header
    path = Path(f"{manifest.path}.edited")
    path.write_bytes(json.dumps(values).encode() + b"\n" + b"".join(lines))
    return Manifest.open(str(path))


def test_lines_out_of_order_are_no_difference_but_a_mistake(tmp_path: Path) -> None:
    first, second = bake_both(tmp_path, image("1"), image("1"))
    with edited(second, list.reverse) as backwards, pytest.raises(ManifestError, match=r"line 3 is out of order"):
        list(delta(first, backwards))


def test_an_item_of_a_kind_that_nobody_knows_is_a_mistake(tmp_path: Path) -> None:
    def add(lines: list[bytes]) -> None:
        lines.append(b'{"kind":"zz","key":"a"}\n')

    first, second = bake_both(tmp_path, image("1"), image("1"))
    with edited(second, add) as strange, pytest.raises(ManifestError, match=r"holds a zz"):
        list(delta(first, strange))


def test_what_was_baked_under_other_semantics_is_not_compared(tmp_path: Path) -> None:
    first, second = bake_both(tmp_path, image("1"), image("1"))
    with edited(second, lambda _: None, semantics=99) as newer, pytest.raises(ManifestError, match="under 99"):
        list(delta(first, newer))


def test_equal_images_have_no_difference(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root", image("1"))
    with bake_tree(root, tmp_path / "a") as first, bake_tree(root, tmp_path / "b", Policy.of([])) as second:
        assert list(delta(first, second)) == []
