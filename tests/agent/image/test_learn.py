"""Rules proposed from clean boots: few, with reasons, and enough."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.cli.image_text import check_document
from drift_agent.drift.check import check_tree
from drift_agent.errors import ConfigError, InputError
from drift_agent.image.globs import Automaton, as_glob
from drift_agent.image.learn import learn, to_toml
from drift_agent.image.policy_file import load_policy
from trees import bake_tree, make_tree


def documents(tmp_path: Path, policy: str | None = None) -> list[tuple[str, object]]:
    """Two boots of one image: some of it the same each time, some not."""
    root = make_tree(tmp_path / "image", {"etc": {"app.conf": "x", "mode": "x", "rare": "x"}, "var": None})
    found: list[tuple[str, object]] = []
    with bake_tree(root, tmp_path / "m", load_policy(policy)) as manifest:
        for boot in ("1", "2"):
            tree = make_tree(tmp_path / f"boot{boot}", {"etc": {"app.conf": f"id {boot}", "mode": "x", "rare": "x"}})
            make_tree(tree, {"var": {"same": "s", "state*": {boot: "x"}}})
            (tree / "etc/mode").chmod(0o600)
            if boot == "2":
                (tree / "etc/rare").write_text("y")
            found.append((boot, check_document(check_tree(str(tree), manifest), strict=False)))
    return found


def test_each_proposal_says_how_often_and_whether_boots_agree(tmp_path: Path) -> None:
    proposals = {proposal.path: proposal for proposal in learn(documents(tmp_path))}
    assert set(proposals) == {"/etc/app.conf", "/etc/mode", "/etc/rare", "/var/same", "/var/state[*]/***"}
    assert proposals["/etc/app.conf"].why == "modified on 2 of 2 clean boots, each time differently"
    assert proposals["/etc/mode"].without == ("mode",)
    assert "better bake it" in proposals["/var/same"].why
    assert "on 1 of 2" in proposals["/etc/rare"].why


def test_the_proposed_policy_makes_these_boots_clean(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(to_toml(learn(documents(tmp_path / "before"))))
    tomllib.loads(policy.read_text())
    for _, document in documents(tmp_path / "after", str(policy)):
        assert isinstance(document, dict)
        assert document["state"] == "clean"


@pytest.mark.parametrize("name", ["\U0001f600", "\x7f", "a\nb", '"\\', "é\u2028", "\udcff", "[*]?{a,b}"])
def test_any_name_stands_in_the_policy(name: str, tmp_path: Path) -> None:
    change = {"kind": "file", "key": f"/{name}", "change": "added", "class": "frozen", "attributes": {}}
    document = {"schema": "driftline.check/1", "changes": [change]}
    file = tmp_path / "policy.toml"
    file.write_text(to_toml(learn([("1", document), ("2", document)])), encoding="utf-8")
    assert load_policy(str(file)).decide(f"/{name}").path_class == "sealed"


def test_one_boot_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least two"):
        learn(documents(tmp_path)[:1])


def test_a_document_is_one_boot_however_often_it_is_given_or_names_an_item(tmp_path: Path) -> None:
    one, two = documents(tmp_path)
    with pytest.raises(ConfigError, match="at least two"):
        learn([one, one])
    with pytest.raises(ConfigError, match="each check document once"):
        learn([one, two, one])
    change = {"kind": "file", "key": "/a", "change": "added", "class": "frozen", "attributes": {}}
    twice = {"schema": "driftline.check/1", "changes": [change, change]}
    (proposal,) = learn([("1", twice), ("2", {"schema": "driftline.check/1", "changes": []})])
    assert "on 1 of 2" in proposal.why


@pytest.mark.parametrize(
    "other",
    [
        {"change": "modified", "attributes": {"mode": {"expected": "0600", "actual": "0644"}}},
        {"change": "added", "attributes": {"mode": {"expected": None, "actual": "0644"}}},
        {"change": "removed", "attributes": {"mode": {"expected": "0600", "actual": None}}},
    ],
)
def test_boots_of_two_images_teach_nothing(other: dict[str, object]) -> None:
    def document(change: dict[str, object]) -> dict[str, object]:
        item = {"kind": "file", "key": "/a\n", "class": "frozen"}
        return {"schema": "driftline.check/1", "changes": [item | change]}

    first = document({"change": "modified", "attributes": {"mode": {"expected": "0644", "actual": "0755"}}})
    with pytest.raises(InputError, match=r"^two: .*another manifest.* /a\\n says"):
        learn([("one", first), ("two", document(other))])


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"schema": "driftline.report/1"}, {"schema": "driftline.check/1"},
     {"schema": "driftline.check/1", "changes": [], "omitted": 1}, {
        "schema": "driftline.check/1", "changes": [{"kind": "file", "key": "/a", "change": "added", "class": "frozen"}],
    }],
)  # fmt: skip
def test_what_is_no_check_document_is_named(document: object) -> None:
    with pytest.raises(InputError, match="two"):
        learn([("one", {"schema": "driftline.check/1", "changes": []}), ("two", document)])


names = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8).filter(lambda name: name.strip("."))


@given(st.lists(names, min_size=1, max_size=3))
def test_the_pattern_of_a_key_matches_it(parts: list[str]) -> None:
    key = "/" + "/".join(parts)
    assert Automaton([[as_glob(key)]]).match(key).rule == 0
