"""Image against image: an upgrade reads as one line with its files beneath it."""

from pathlib import Path

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


def test_equal_images_have_no_difference(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root", image("1"))
    with bake_tree(root, tmp_path / "a") as first, bake_tree(root, tmp_path / "b", Policy.of([])) as second:
        assert list(delta(first, second)) == []
