"""The stamp of an image: what was written is read back, and what nobody could have written is refused by its name."""

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.errors import ManifestError
from drift_agent.image.header import Header
from drift_agent.image.policy import BAKED_KINDS, STATE_FOLDER, Policy, Rule
from drift_agent.image.semantics import SEMANTICS

DIGEST = "1:sha256:" + "0" * 64
OTHER_DIGEST = "1:sha256:" + "1" * 64
RULES = [
    Rule("/tmp/**", "ignored"),
    Rule("/etc/hosts", "sealed", frozenset({"type", "mode"}), "high", "set by first boot", "site"),
    Rule("eve", severity="low", kind="user"),
]
HEADER = Header(
    "web", "7", Policy.of(RULES, profile="debian"), DIGEST, 12, {"file": 3, "user": 1},
    os={"id": "debian"}, mounts={"/boot": "ext4"}, attributes=("type", "sha256"), not_applicable=("package",),
    hostname="golden", unreadable=2, built="2026-01-01T00:00:00Z",
)  # fmt: skip

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/+:-]{0,199}", fullmatch=True)
counts = st.integers(0, 2**63 - 1)
texts = st.binary(max_size=20).map(os.fsdecode)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(st.text(max_size=9), below, max_size=3)),
    max_leaves=5,
)


@given(
    st.builds(
        Header,
        image=names,
        version=st.just("") | names,
        policy=st.just(HEADER.policy),
        digest=st.from_regex(r"[0-9]{1,9}:sha256:[0-9a-f]{64}", fullmatch=True),
        length=counts,
        counts=st.dictionaries(st.sampled_from(BAKED_KINDS), counts),
        os=st.dictionaries(texts, texts),
        mounts=st.dictionaries(texts, texts),
        attributes=st.lists(texts).map(tuple),
        not_applicable=st.lists(texts).map(tuple),
        hostname=texts,
        unreadable=counts,
        built=texts,
    )
)
def test_what_was_encoded_is_decoded(header: Header) -> None:
    line = header.encode()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert Header.decode(line) == header


BAD: list[tuple[str, object]] = [
    ("schema", "driftline.manifest/2"),
    ("hash", "md5"), ("hash", ["sha256"]),
    ("semantics", True), ("semantics", "1"), ("semantics", -1),
    ("image", 3), ("image", ""), ("image", "a b"), ("image", "-a"), ("image", "a" * 201), ("image", "a\n"),
    ("version", "7\n"), ("version", 7), ("version", 0), ("version", None), ("version", []),
    ("digest", "abc"), ("digest", f"{DIGEST}\n"), ("digest", DIGEST.replace("sha256", "sha512")), ("digest", None),
    ("length", -1), ("length", "7"), ("length", 1.5), ("length", 2**63), ("length", False),
    ("counts", []), ("counts", {"martian": 1}), ("counts", {"file": -1}), ("counts", {"file": True}),
    ("unreadable", None), ("unreadable", 0.0),
    ("os", [1]), ("os", {"id": 1}),
    ("mounts", "no"), ("mounts", ["/boot"]), ("mounts", {"/boot": None}),
    ("attributes", "type"), ("attributes", [1]), ("not_applicable", {}), ("not_applicable", [None]),
    ("hostname", None), ("hostname", "x" * 4097), ("built", None), ("built", 1767225600),
    ("policy", {}), ("policy", []), ("policy", {**HEADER.policy.to_header(), "kinds": ["martian"]}),
    ("policy", {**HEADER.policy.to_header(), "profile": None}),
    ("policy", {**HEADER.policy.to_header(), "rules": [{"path": "/a", "class": "martian"}]}),
    ("policy", {**HEADER.policy.to_header(), "rules": [{"path": "/a", "class": "frozen", "attributes": [["type"]]}]}),
    ("policy_digest", OTHER_DIGEST), ("policy_digest", "abc"), ("policy_digest", None),
]  # fmt: skip


@pytest.mark.parametrize(("member", "value"), BAD)
def test_a_bad_value_is_refused_with_its_name(member: str, value: object) -> None:
    with pytest.raises(ManifestError, match=member):
        Header.decode(json.dumps({**json.loads(HEADER.encode()), member: value}).encode())


@pytest.mark.parametrize("member", sorted(json.loads(HEADER.encode())))
def test_no_member_may_be_missing(member: str) -> None:
    values = json.loads(HEADER.encode())
    del values[member]
    with pytest.raises(ManifestError):
        Header.decode(json.dumps(values).encode())


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for name, inner in below for place in _places(inner, (*at, name)))]


@given(st.sampled_from(_places(json.loads(HEADER.encode()))[1:]), json_values)
def test_whatever_stands_anywhere_in_it_is_decoded_or_refused(place: tuple[Any, ...], value: object) -> None:
    """Never another error than the one that names the manifest as the culprit."""
    values = inner = json.loads(HEADER.encode())
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    try:
        Header.decode(json.dumps(values).encode())
    except ManifestError:
        pass


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(line: bytes) -> None:
    with pytest.raises(ManifestError):
        Header.decode(line)


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"schema":' + b"9" * 5000 + b"}", '{"schema":"é"'.encode("utf-16")])
def test_json_that_no_parser_takes_is_refused(line: bytes) -> None:
    with pytest.raises(ManifestError, match="is not JSON"):
        Header.decode(line)


def test_the_policy_of_other_semantics_has_another_digest_and_is_read_all_the_same() -> None:
    """So that whoever compares can say which version is needed."""
    values = {**json.loads(HEADER.encode()), "semantics": SEMANTICS + 1, "policy_digest": OTHER_DIGEST}
    assert Header.decode(json.dumps(values).encode()).semantics == SEMANTICS + 1


def test_the_stamp_is_the_name_with_the_version_if_there_is_one() -> None:
    assert HEADER.stamp == "web@7"
    assert Header("web", "", HEADER.policy, DIGEST, 0, {}).stamp == "web"


@pytest.mark.parametrize(
    ("mounts", "volatile"),
    [({}, False), ({"/var": "ext4"}, False), ({"/var": "tmpfs"}, True), ({STATE_FOLDER: "overlay"}, True)],
)
def test_state_on_a_mount_that_ends_with_the_boot_is_volatile(mounts: dict[str, str], volatile: bool) -> None:
    assert Header("web", "", HEADER.policy, DIGEST, 0, {}, mounts=mounts).volatile_state == volatile
