"""What each fact reads out of a tree: by examples in `tests/data/facts`, and what holds for all of them."""

import errno
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from drift_agent.image.facts import FACTS, Context, package, service, sysctl, user
from drift_agent.image.facts.base import Fact
from drift_agent.image.rootfs import RootFiles
from drift_agent.model import AttributeValue
from trees import Link, Tree, make_tree

EXAMPLES = Path(__file__).parents[3] / "data/facts"
"""`KIND/NAME.toml`: why it is there, the tree, what of it first boot makes, and the items."""


def gather(
    fact: Fact, root: Path, tree: Tree, *, sealed: Sequence[str] = (), image: str = "web"
) -> Mapping[str, Mapping[str, AttributeValue]]:
    with RootFiles(str(make_tree(root, tree))) as files:
        gathered = fact.gather(Context(files, image, lambda name: name in sealed))
    assert gathered is not None
    assert gathered.unreadable == {}
    assert [item.kind for item in gathered.items] == [fact.kind] * len(gathered.items)
    return {item.key: item.attributes for item in gathered.items}


def node(value: str | Mapping[str, str]) -> str | Link:
    return value if isinstance(value, str) else Link(value["link"])


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.toml")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_items_are_those_that_the_tree_holds(path: Path, tmp_path: Path) -> None:
    (fact,) = (fact for fact in FACTS if fact.kind == path.parent.name)
    example = tomllib.loads(path.read_text())
    tree = {key: node(value) for key, value in example["tree"].items()}
    assert gather(fact, tmp_path, tree, sealed=example.get("sealed", ())) == example["items"], example["why"]


def test_every_fact_has_examples() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/*.toml")} == {fact.kind for fact in FACTS}


def test_a_password_is_told_apart_but_never_told(tmp_path: Path) -> None:
    digests = set()
    for number, (image, secret) in enumerate([("web", "$6$a"), ("web", "$6$b"), ("db", "$6$a")]):
        tree: Tree = {"etc": {"passwd": "a:x:1:1::/:/\n", "shadow": f"a:{secret}:1::::::\n"}}
        users = gather(user.FACT, tmp_path / str(number), tree, image=image)
        digests.add(users["a"]["password_sha256"])
        assert "$6$" not in str(users)
    assert len(digests) == 3


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.kind)
def test_a_tree_without_its_sources_has_no_such_kind(fact: Fact, tmp_path: Path) -> None:
    with RootFiles(str(tmp_path)) as files:
        assert fact.gather(Context(files)) is None


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.kind)
def test_links_never_lead_a_fact_out_of_the_tree(fact: Fact, tmp_path: Path) -> None:
    """What a machine's own /etc/passwd would say must not stand for an offline root's."""
    tree: Tree = {source.strip("/"): Link("/../../../../../.." + source) for source in fact.sources}
    with RootFiles(str(make_tree(tmp_path, tree))) as files:
        gathered = fact.gather(Context(files))
    assert gathered is None or gathered.items == []


@pytest.mark.parametrize("fact", [package.FACT, service.FACT, sysctl.FACT], ids=lambda fact: fact.kind)
def test_a_folder_that_cannot_be_read_is_said_and_is_no_absence(
    fact: Fact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: RootFiles, key: str) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", key)

    monkeypatch.setattr(RootFiles, "names", refuse)
    with RootFiles(str(tmp_path)) as files:
        gathered = fact.gather(Context(files))
    assert gathered is not None
    assert set(gathered.unreadable.values()) == {"Permission denied"}
    assert set(gathered.unreadable) <= set(fact.sources)
