"""The seal: the difference from what stood when first boot was over, whatever the image says."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift import seal
from drift_agent.model import Change, Key

Tree = Mapping[str, Mapping[str, str]]

TREES = st.dictionaries(
    st.sampled_from(["/a", "/b", "/c"]),
    st.fixed_dictionaries(
        {"type": st.just("file")}, optional=dict.fromkeys(("sha256", "mode"), st.sampled_from("xyz"))
    ),
)


def differences(before: Tree, after: Tree) -> dict[Key, Change]:
    """What a check of `after` against `before` says: only attributes that differ, all where there is no other side."""
    found = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is None and new is not None:
            found["file", key] = Change("file", key, "added", "sealed", actual=new)
        elif new is None and old is not None:
            found["file", key] = Change("file", key, "removed", "sealed", expected=old)
        elif old is not None and new is not None and old != new:
            names = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
            found["file", key] = Change(
                "file",
                key,
                "modified",
                "sealed",
                expected={name: old[name] for name in names if name in old},
                actual={name: new[name] for name in names if name in new},
            )
    return found


@given(TREES, TREES, TREES)
def test_what_is_found_is_the_difference_between_seal_and_now(image: Tree, then: Tree, now: Tree) -> None:
    made = seal.of(differences(image, then))
    found = seal.compare(made, differences(image, now), lambda _: True)
    assert found == differences(then, now)


@given(TREES, TREES)
def test_nothing_is_found_while_nothing_changes(image: Tree, then: Tree) -> None:
    seen = differences(image, then)
    assert seal.compare(seal.of(seen), seen, lambda _: True) == {}


@given(TREES, TREES, TREES)
def test_the_digest_tells_seals_apart(image: Tree, one: Tree, other: Tree) -> None:
    first, second = (seal.of(differences(image, tree)) for tree in (one, other))
    assert (seal.digest(first) == seal.digest(second)) == (one == other)


def test_other_classes_are_not_sealed() -> None:
    frozen = Change("file", "/etc/motd", "modified")
    assert seal.of({("file", "/etc/motd"): frozen}) == {}


def test_what_was_not_looked_at_is_not_missing() -> None:
    made = seal.of(differences({}, {"/a": {"type": "file"}}))
    assert seal.compare(made, {}, lambda _: False) == {}
