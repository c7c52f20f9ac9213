"""Two streams in order, changes and a digest out: what is told of each way in which seen and expected may differ."""

import hashlib
from collections.abc import Iterable, Mapping
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.compare import Comparer
from drift_agent.drift.expected import Expected
from drift_agent.image.canonical import encode, key_order
from drift_agent.image.entry import Entry
from drift_agent.image.facts import Gathered
from drift_agent.image.facts.base import gathered
from drift_agent.image.header import Header
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy, Rule
from drift_agent.image.recall import Run
from drift_agent.model import Attributes, Change, Item, Unreadable

Tree = Mapping[str, Attributes]

POLICY = Policy.of(
    [
        Rule("/s*/**", "sealed", severity="high"),
        Rule("/i/**", "ignored"),
        Rule("/i/keep"),
        Rule("sealed*", "sealed", kind="user"),
        Rule("ignored*", "ignored", kind="user"),
    ]
)
MANIFEST = Manifest("m", -1, Header("web", "", POLICY, "", 0, {}), 0)
DIR: Attributes = {"type": "dir", "mode": "0755"}
FILE: Attributes = {"type": "file", "mode": "0644", "sha256": "aa"}
OTHER: Attributes = {**FILE, "sha256": "bb"}
NO_DIGEST: Attributes = {"type": "file", "mode": "0644"}
UNREADABLE: Attributes = {**NO_DIGEST, "unreadable": True}

keys = st.sampled_from(["/a", "/a/b", "/a/b/c", "/a.b", "/a-", "/i/keep", "/s", "/s/x", "/s/y", "/z", "/\udcff"])
trees = st.dictionaries(keys, st.sampled_from([DIR, FILE, OTHER]), max_size=11)


def lines(tree: Tree) -> list[bytes]:
    return [encode(Item("file", key, tree[key])) for key in sorted(tree, key=key_order)]


def entry(key: str, attributes: Attributes | None, error: str = "", *, hidden: bool = False) -> Entry:
    line = b"" if attributes is None else encode(Item("file", key, attributes))
    return Entry(key, POLICY.decide(key), line, error, hidden)


def late(key: str, *, hidden: bool) -> Entry:
    made = entry(key, None, "what came of it", hidden=hidden)
    made.late = True
    return made


def postponed(key: str, attributes: Attributes) -> Entry:
    made = entry(key, attributes)
    made.postponed = True
    return made


def entries(tree: Tree) -> list[Entry]:
    return [entry(key, tree[key]) for key in sorted(tree, key=key_order)]


def in_runs(tree: Tree) -> Iterable[Entry | Run]:
    """The same as a scan out of a cache hands it on: a sealed one comes by itself."""
    for sealed, some in groupby(entries(tree), lambda one: one.decision.path_class == "sealed"):
        group = list(some)
        yield from group if sealed else [Run(b"".join(one.line for one in group), len(group))]


def compared(baked: Tree, seen: Iterable[Entry | Run]) -> Comparer:
    comparer = Comparer(POLICY)
    expected = Expected(MANIFEST, iter([b"".join(lines(baked))]), 2)
    for _ in comparer.files(expected, seen):
        pass
    expected.finish()
    return comparer


def digest(lines: Iterable[bytes]) -> str:
    return "1:sha256:" + hashlib.sha256(b"".join(lines)).hexdigest()


def header_digest(tree: Tree) -> str:
    """As the bake makes it: over every line that is not sealed."""
    return digest(lines({key: tree[key] for key in tree if POLICY.decide(key).path_class != "sealed"}))


def told(comparer: Comparer) -> list[tuple[str, str, Attributes, Attributes]]:
    return [(change.change, change.key, change.expected, change.actual) for change in comparer.changes]


# ---------------------------------------------------------------------------------------------- any two trees


@given(trees)
def test_a_tree_as_it_was_baked_is_clean_and_has_the_headers_digest(tree: Tree) -> None:
    for seen in (entries(tree), in_runs(tree)):
        comparer = compared(tree, seen)
        assert (comparer.changes, comparer.unreadable, comparer.scanned) == ([], [], len(tree))
        assert comparer.digest() == header_digest(tree)


@given(trees, trees)
def test_what_differs_is_told_in_order_and_nothing_else_one_by_one_and_in_runs(was: Tree, now: Tree) -> None:
    expected = []
    for key in sorted({*was, *now}, key=key_order):
        if key not in now:
            expected.append(("removed", key))
        elif key not in was:
            expected.append(("added", key))
        elif was[key] != now[key]:
            expected.append(("modified", key))
    for seen in (entries(now), in_runs(now)):
        comparer = compared(was, seen)
        assert [(change.change, change.key) for change in comparer.changes] == expected
        assert comparer.digest() == header_digest(now)
        assert comparer.scanned == len(now)
        assert all(c.path_class == POLICY.decide(c.key).path_class for c in comparer.changes)


# ----------------------------------------------------------------------------------------- what is told of it


def test_added_and_removed_have_all_attributes_and_modified_those_that_differ() -> None:
    comparer = compared({"/a": FILE, "/b": FILE}, entries({"/b": {**FILE, "mode": "4755", "flags": "i"}, "/c": FILE}))
    assert told(comparer) == [
        ("removed", "/a", FILE, {}),
        ("modified", "/b", {"mode": "0644"}, {"mode": "4755", "flags": "i"}),
        ("added", "/c", {}, FILE),
    ]


def test_a_sealed_change_has_its_rules_class_and_severity() -> None:
    (change,) = compared({}, entries({"/s/x": FILE})).changes
    assert change == Change("file", "/s/x", "added", "sealed", "high", {}, FILE)


def test_what_the_policy_ignores_is_not_missed() -> None:
    """As in a manifest that holds more than its policy compares."""
    assert compared({"/i/drop": FILE, "/i/keep": FILE}, []).changes == [
        Change("file", "/i/keep", "removed", expected=FILE)
    ]


def test_what_cannot_be_read_at_all_is_told_and_is_neither_removed_nor_is_what_it_hides() -> None:
    baked = {"/a": DIR, "/a/b": FILE, "/a.b": FILE}
    comparer = compared(baked, [entry("/a", None, "no leave", hidden=True)])
    assert comparer.unreadable == [Unreadable("file", "/a", "no leave")]
    assert told(comparer) == [("removed", "/a.b", FILE, {})], "it only begins with the same letter"


def test_what_can_be_read_in_part_is_told_and_compared_in_that_part() -> None:
    seen = [entry("/a", NO_DIGEST, "no leave"), entry("/b", {**NO_DIGEST, "mode": "0666"}, "no leave")]
    comparer = compared({"/a": FILE, "/b": FILE}, seen)
    assert [one.key for one in comparer.unreadable] == ["/a", "/b"]
    assert told(comparer) == [("modified", "/b", {"mode": "0644"}, {"mode": "0666"})]


def test_something_new_that_cannot_be_read_is_both() -> None:
    comparer = compared({}, [entry("/a", DIR, "no leave", hidden=True)])
    assert told(comparer) == [("added", "/a", {}, DIR)]
    assert comparer.unreadable == [Unreadable("file", "/a", "no leave")]


@pytest.mark.parametrize("root", ["/", "/a"])
def test_below_a_folder_that_was_not_entered_nothing_is_gone_and_the_folder_itself_is_compared(root: str) -> None:
    """Something foreign is mounted there, say."""
    baked = {root: DIR, f"{root}/b".replace("//", "/"): FILE}
    comparer = compared(baked, [entry(root, {**DIR, "mode": "1777"}, hidden=True)])
    assert told(comparer) == [("modified", root, {"mode": "0755"}, {"mode": "1777"})]
    assert comparer.unreadable == []
    assert compared(baked, [entry(root, DIR, hidden=True)]).changes == []


def test_a_folder_that_vanished_once_it_was_seen_takes_along_what_it_held() -> None:
    comparer = compared({"/a": DIR, "/a/b": FILE}, [entry("/a", DIR), late("/a", hidden=False)])
    assert told(comparer) == [("removed", "/a/b", FILE, {})]
    assert (comparer.unreadable, comparer.scanned) == ([], 1)


def test_a_folder_that_cannot_be_entered_once_it_was_seen_hides_what_it_holds() -> None:
    comparer = compared({"/a": DIR, "/a/b": FILE}, [entry("/a", DIR), late("/a", hidden=True)])
    assert comparer.changes == []
    assert comparer.unreadable == [Unreadable("file", "/a", "what came of it")]


# ------------------------------------------------------------------------------------- recorded as unreadable


@pytest.mark.parametrize(
    "seen",
    [
        [entry("/a", None, "no leave", hidden=True)],
        [entry("/a", NO_DIGEST, "no leave")],
        [entry("/a", FILE), entry("/a/b", FILE)],
        [entry("/a", FILE), Run(encode(Item("file", "/a/b", FILE)), 1)],
    ],
    ids=["not even a stat", "in part", "all, and more below", "all, and more below in a run"],
)
def test_what_the_bake_could_not_read_is_no_difference_whoever_looks(seen: list[Entry | Run]) -> None:
    comparer = compared({"/a": UNREADABLE}, seen)
    assert (comparer.changes, comparer.unreadable) == ([], [])
    assert comparer.digest() == header_digest({"/a": UNREADABLE})


def test_of_what_the_bake_could_not_read_the_rest_is_compared() -> None:
    comparer = compared({"/a": UNREADABLE}, [entry("/a", {**FILE, "mode": "0666"}), entry("/a.b", FILE)])
    assert told(comparer) == [("modified", "/a", {"mode": "0644"}, {"mode": "0666"}), ("added", "/a.b", {}, FILE)]
    assert comparer.digest() != header_digest({"/a": UNREADABLE})
    assert told(compared({"/a": UNREADABLE}, [])) == [("removed", "/a", UNREADABLE, {})]


def test_an_ignored_folder_that_the_bake_could_not_read_hides_what_is_compared_below_it() -> None:
    baked = {"/i/x": UNREADABLE}
    policy_entry = Entry("/i/x/keep", POLICY.decide("/z"), encode(Item("file", "/i/x/keep", FILE)))
    comparer = compared(baked, [policy_entry, entry("/z", FILE)])
    assert told(comparer) == [("added", "/z", {}, FILE)]
    assert comparer.digest() == digest([*lines(baked), *lines({"/z": FILE})])


# ------------------------------------------------------------------------------------------------- postponed


def test_of_a_postponed_content_nothing_is_said_and_the_rest_is_compared() -> None:
    baked = {"/a": FILE, "/b": FILE}
    comparer = compared(baked, [postponed("/a", NO_DIGEST), postponed("/b", {**NO_DIGEST, "mode": "0666"})])
    assert told(comparer) == [("modified", "/b", {"mode": "0644"}, {"mode": "0666"})]
    assert comparer.postponed == {"/a", "/b"}


def test_a_postponed_file_that_nobody_expected_is_added_whatever_it_holds() -> None:
    comparer = compared({}, [postponed("/a", NO_DIGEST)])
    assert told(comparer) == [("added", "/a", {}, NO_DIGEST)]
    assert comparer.postponed == set()


@pytest.mark.parametrize("baked", [{"/s/x": FILE}, {}])
def test_of_a_postponed_sealed_file_nothing_is_told_for_the_seal_may_know_it(baked: Tree) -> None:
    comparer = compared(baked, [postponed("/s/x", {**NO_DIGEST, "mode": "0666"})])
    assert comparer.changes == []
    assert comparer.postponed == {"/s/x"}


def test_a_postponed_file_that_the_bake_could_not_read_is_no_wait() -> None:
    assert compared({"/a": UNREADABLE}, [postponed("/a", NO_DIGEST)]).postponed == set()


# ------------------------------------------------------------------------------------------------ other kinds


def users(baked: Tree, observed: Gathered | None) -> Comparer:
    comparer = Comparer(POLICY)
    body = b"".join(encode(item) for item in gathered("user", baked).items)
    expected = Expected(MANIFEST, iter([body + encode(Item("zone", "x", {}))]), 2)
    comparer.facts("user", expected, observed)
    assert expected.place()[0] == "zone", "it stands behind the last of its kind"
    return comparer


records = st.dictionaries(
    st.sampled_from(["root", "eve", "sealed1", "ignored1"]), st.fixed_dictionaries({"uid": st.integers(0, 2)})
)


@given(records, records)
def test_the_items_of_another_kind_are_compared_by_name(was: Tree, now: Tree) -> None:
    comparer = users(was, gathered("user", now))
    compared = {key for key in {*was, *now} if not key.startswith("ignored")}
    expected = [
        ("removed" if key not in now else "added" if key not in was else "modified", key)
        for key in sorted(compared)
        if was.get(key) != now.get(key)
    ]
    assert [(change.change, change.key) for change in comparer.changes] == expected
    kept = [encode(Item("user", key, now[key])) for key in sorted(now) if not key.startswith(("sealed", "ignored"))]
    assert (comparer.digest(), comparer.scanned) == (digest(kept), len(now))


def test_a_kind_that_has_no_meaning_any_more_is_unreadable_and_not_removed() -> None:
    comparer = users({"root": {"uid": 0}}, None)
    assert comparer.changes == []
    assert [(one.kind, one.key) for one in comparer.unreadable] == [("user", "")]
    assert users({}, None).unreadable == []


def test_of_a_source_that_cannot_be_read_nothing_is_said_but_that() -> None:
    seen = gathered("user", {"root": {"uid": 0}}, {"/etc/shadow": "no leave"})
    comparer = users({"root": {"uid": 0, "locked": True}}, seen)
    assert comparer.changes == []
    assert comparer.unreadable == [Unreadable("user", "/etc/shadow", "no leave")]
    seen = gathered("user", {"root": {"uid": 1}}, {"/etc/shadow": "no leave"})
    assert told(users({"root": {"uid": 0, "locked": True}}, seen)) == [("modified", "root", {"uid": 0}, {"uid": 1})]


def test_a_source_that_the_bake_could_not_read_is_no_difference_whoever_looks() -> None:
    baked: Tree = {"root": {"uid": 0, "unreadable": True}}
    for seen in (
        gathered("user", {"root": {"uid": 0}}, {"/etc/shadow": "no leave"}),
        gathered("user", {"root": {"uid": 0, "locked": True}}),
    ):
        comparer = users(baked, seen)
        assert (comparer.changes, comparer.unreadable) == ([], [])
        assert comparer.digest() == digest([encode(Item("user", "root", baked["root"]))])
