"""Globs of paths: what matches, who wins, and what is known of a folder without looking into it."""

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.image.globs import NO_RULE, Automaton, expand_braces


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/etc/hosts", ["/etc/hosts"], ["/etc", "/etc/hosts/x", "/etc/hosts2"]),
        ("/etc/*.conf", ["/etc/a.conf", "/etc/.conf"], ["/etc/a/b.conf", "/etc/aconf"]),
        ("/var/log/**", ["/var/log/a", "/var/log/a/b"], ["/var/log", "/var/logs"]),
        ("/var/log/***", ["/var/log", "/var/log/a", "/var/log/a/b"], ["/var", "/var/logs"]),
        ("/a/**/z", ["/a/z", "/a/b/z", "/a/b/c/z"], ["/a", "/z", "/a/z/b"]),
        ("/**/z", ["/z", "/b/c/z"], ["/a"]),
        ("/", ["/"], ["/a"]),
        ("/***", ["/", "/a", "/a/b"], []),
        ("/{a,b/c}{,.d/**}", ["/a", "/b/c", "/a.d/x"], ["/b", "/a.d", "/c"]),
        ("/x[0-9]?", ["/x1y"], ["/x1", "/xay"]),
    ],
)
def test_a_pattern_matches_whole_paths_component_by_component(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    automaton = Automaton([[pattern]])
    assert [automaton.match(path).rule for path in matching] == [0] * len(matching)
    assert [automaton.match(path).rule for path in others] == [NO_RULE] * len(others)


def test_the_last_rule_that_matches_wins() -> None:
    automaton = Automaton([["/etc/***"], ["/etc/ssh/*"], ["/**/keep"]])
    assert automaton.match("/etc/ssh").rule == 0
    assert automaton.match("/etc/ssh/x").rule == 1
    assert automaton.match("/etc/ssh/keep").rule == 2


@pytest.mark.parametrize("pattern", ["etc", "/a//b", "/a/../b", "/a/./b", "/a/***/b", "/{a", "/a}", "/" + "{a,b}" * 9])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"has|begin|stands"):
        Automaton([[pattern]])


def test_braces_expand_in_order_and_may_nest() -> None:
    assert expand_braces("/{a,b}{1,2}") == ["/a1", "/a2", "/b1", "/b2"]
    assert set(expand_braces("/{a,b{1,2}}")) == {"/a", "/b1", "/b2"}


names = st.sampled_from(["a", "b", "ab", "a.b"])
parts = st.sampled_from(["a", "b", "ab", "*", "a*", "?", "**"])


def _reference(pattern: str) -> re.Pattern[str]:
    regex = ""
    names = pattern[1:].split("/")
    for position, name in enumerate(names):
        last = position == len(names) - 1
        if name == "***":
            regex += "(/.*)?"
        elif name == "**":
            regex += "(/[^/]+)+" if last else "(/[^/]+)*"
        else:
            regex += "/" + fnmatch.translate(name).removeprefix("(?s:").removesuffix(")\\Z").replace(".*", "[^/]*")
    return re.compile(f"(?s:{regex})")


@given(
    st.lists(st.tuples(st.lists(parts, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=5),
    st.lists(names, max_size=5),
)
def test_the_automaton_says_what_regular_expressions_say(
    rules: list[tuple[list[str], bool]], path_names: list[str]
) -> None:
    patterns = ["/" + "/".join(parts_) + ("/***" if tree else "") for parts_, tree in rules]
    path = "/" + "/".join(path_names)
    expected = max(
        (n for n, pattern in enumerate(patterns) if path != "/" and _reference(pattern).fullmatch(path)),
        default=NO_RULE,
    )
    if path != "/":
        assert Automaton([[pattern] for pattern in patterns]).match(path).rule == expected


@given(
    st.lists(st.tuples(st.lists(parts, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=5),
    st.lists(names, min_size=1, max_size=3),
    st.lists(names, min_size=1, max_size=3),
)
def test_what_a_state_says_of_below_holds_below(
    rules: list[tuple[list[str], bool]], folder: list[str], rest: list[str]
) -> None:
    """`highest_below` holds at least, and nothing matches below that is not `reachable`."""
    patterns = ["/" + "/".join(parts_) + ("/***" if tree else "") for parts_, tree in rules]
    automaton = Automaton([[pattern] for pattern in patterns])
    state = automaton.match("/" + "/".join(folder))
    below = automaton.match("/" + "/".join([*folder, *rest])).rule
    assert below >= state.highest_below
    assert below == NO_RULE or below in state.reachable()


@given(
    st.lists(st.tuples(st.lists(parts, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=5),
    st.lists(names, max_size=3),
    st.lists(names, max_size=5),
)
def test_what_is_said_of_many_names_holds_for_each(
    rules: list[tuple[list[str], bool]], folder: list[str], many: list[str]
) -> None:
    patterns = ["/" + "/".join(parts_) + ("/***" if tree else "") for parts_, tree in rules]
    state = Automaton([[pattern] for pattern in patterns]).match("/" + "/".join(folder))
    alike = state.child_of_any(many)
    if alike is not None:
        assert all(state.child(name) is alike for name in many)
    else:
        assert not state.children_alike
