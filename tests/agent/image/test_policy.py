"""Policies: who decides, what is descended into, and the trip through a manifest's header."""

import pytest

from drift_agent.errors import ManifestError
from drift_agent.image.policy import DETOUR, LEFT_OUT, Policy, Rule


def test_what_no_rule_names_is_frozen_with_every_attribute() -> None:
    decision = Policy.of([]).decide("/usr/bin/true")
    assert (decision.path_class, decision.severity, decision.rule) == ("frozen", "medium", -1)
    assert "sha256" in decision.attributes


def test_the_last_matching_rule_decides_and_says_why() -> None:
    policy = Policy.of([Rule("/etc/***", "ignored", why="noise"), Rule("/etc/passwd", "frozen", severity="high")])
    assert policy.decide("/etc/motd").why == "noise"
    assert policy.decide("/etc/passwd").severity == "high"


def test_everything_but_one_tree_can_be_ignored_with_two_rules() -> None:
    policy = Policy.of([Rule("/***", "ignored"), Rule("/etc/***")])
    assert policy.decide("/").path_class == "ignored"
    assert policy.decide("/etc").path_class == "frozen"
    assert policy.descends(policy.top())
    assert not policy.descends(policy.state("/usr"))
    assert policy.descends(policy.state("/etc/ssh"))


def test_an_ignored_tree_is_descended_into_only_where_something_below_is_not() -> None:
    policy = Policy.of([Rule("/v/**", "ignored"), Rule("/v/lib/x/*", "frozen"), Rule("/v/tmp/a", "ignored")])
    assert policy.descends(policy.state("/v/lib"))
    assert policy.descends(policy.state("/v/lib/x"))
    assert not policy.descends(policy.state("/v/lib/y"))
    assert not policy.descends(policy.state("/v/tmp"))


def test_the_products_own_files_are_left_out_whatever_the_rules_say() -> None:
    policy = Policy.of([Rule("/***", "frozen")])
    for path in ("/usr/lib/driftline/manifest.jsonl", "/usr/lib/driftline/content/ab", "/var/lib/driftline/state.db"):
        assert policy.decide(path).path_class == "ignored"
    assert policy.decide("/usr/lib/driftline/other").path_class == "frozen"


def test_below_which_paths_something_is_named_and_not_only_found_anywhere() -> None:
    policy = Policy.of(
        [Rule("/v/***", "ignored"), Rule("/v/a/b/keep"), Rule("/v/c/*/keep"), Rule("/v/d/**/keep"), Rule("/**/any")]
    )
    named = ("/v", "/v/a", "/v/a/b", "/v/c", "/v/c/x", "/v/d")
    for path in (*named, "/v/a/b/keep", "/v/a/x", "/v/c/x/y", "/v/d/x", "/v/e", "/w"):
        assert (policy.of_link(policy.state(path)) is DETOUR) == (path in named), path
        assert policy.descends(policy.state(path)), "there may be one called any"


def test_a_policy_survives_the_header_with_its_digest() -> None:
    policy = Policy.of(
        [
            Rule("/a/*", "sealed", frozenset(["mode", "uid"]), "low", "because", "mine"),
            Rule("linux-*", "ignored", kind="package"),
        ],
        profile="debian",
        kinds=("package", "file"),
    )
    again = Policy.from_header(policy.to_header())
    assert again == policy
    assert again.digest() == policy.digest()
    assert again.kinds == ("file", "package")
    assert again.decide("linux-image", "package").path_class == "ignored"
    assert again.decide("linux-image").path_class == "frozen"


def test_digests_tell_policies_apart() -> None:
    assert Policy.of([Rule("/a")]).digest() != Policy.of([Rule("/b")]).digest()


@pytest.mark.parametrize(
    "header",
    [
        None,
        [],
        {},
        {"rules": {}, "kinds": [], "profile": ""},
        {"rules": [], "kinds": ["file", "martian"], "profile": ""},
        {"rules": [], "kinds": [], "profile": 1},
        {"rules": [{}], "kinds": [], "profile": ""},
        {"rules": [{"path": "/a", "class": "molten"}], "kinds": [], "profile": ""},
        {"rules": [{"path": "/a/***/b", "class": "frozen"}], "kinds": [], "profile": ""},
        {"rules": [{"path": "/a", "class": "frozen", "attributes": ["smell"]}], "kinds": [], "profile": ""},
        {"rules": [{"path": "/a", "class": "frozen", "why": 3}], "kinds": [], "profile": ""},
    ],
)
def test_a_header_that_is_no_policy_is_refused(header: object) -> None:
    with pytest.raises(ManifestError, match="policy: "):
        Policy.from_header(header)


def test_what_is_left_out_stands_behind_every_policy() -> None:
    assert Policy.of([Rule("/a")]).rules[1:] == LEFT_OUT
