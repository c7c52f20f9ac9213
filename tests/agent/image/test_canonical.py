"""Lines of a manifest: equal items, equal bytes; any name survives; the order is a walk's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.image.canonical import LineError, decode, difference, encode, key_order, order, place
from drift_agent.model import Item

names = st.binary(min_size=1, max_size=12).filter(lambda raw: b"\0" not in raw)
texts = names.map(lambda raw: raw.decode("utf-8", "surrogateescape"))
paths = st.lists(names.filter(lambda raw: b"/" not in raw), min_size=1, max_size=4).map(
    lambda parts: "/" + b"/".join(parts).decode("utf-8", "surrogateescape")
)
values = st.one_of(texts, st.integers(-(2**63), 2**63), st.booleans(), st.none())
attribute_names = st.sampled_from(["type", "mode", "uid", "sha256", "target", "xattr.user.a", "xattr.user.b", "flags"])
xattr_names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1).map("xattr.user.{}".format)
xattr_names |= st.just("xattr.user.a_base64")


@given(paths, st.dictionaries(attribute_names, values))
def test_an_item_survives_its_line(key: str, attributes: dict[str, str | int | bool | None]) -> None:
    item = Item("file", key, attributes)
    line = encode(item)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    line.decode("utf-8")
    json.loads(line)
    assert decode(line) == item
    assert place(line) == order("file", key)


@given(st.dictionaries(xattr_names, st.sampled_from(["ab" * 32, "01" * 32]), min_size=1))
def test_whatever_an_xattr_is_called_it_is_one_attribute(attributes: dict[str, str]) -> None:
    item = Item("file", "/a", attributes)
    assert encode(item).count(b"\n") == 1
    assert decode(encode(item)) == item


def test_an_xattr_cannot_say_what_another_attribute_is() -> None:
    image = {"mode": "0755", "sha256": "aa" * 32, "xattr.user.a": "cc" * 32}
    name = f'xattr.user.a":"{"cc" * 32}","mode":"0755","sha256":"{"aa" * 32}","xattr.user.a'
    seen = decode(encode(Item("file", "/a", image | {"mode": "4755", "sha256": "bb" * 32, name: "cc" * 32})))
    assert difference(image, seen.attributes) == (
        {"mode": "0755", "sha256": "aa" * 32}, {"mode": "4755", "sha256": "bb" * 32, name: "cc" * 32},
    )  # fmt: skip


@given(st.dictionaries(attribute_names, values))
def test_the_line_does_not_depend_on_the_order_of_attributes(attributes: dict[str, str | int | bool | None]) -> None:
    backwards = dict(reversed(attributes.items()))
    assert encode(Item("file", "/a", attributes)) == encode(Item("file", "/a", backwards))


@given(st.lists(st.lists(st.binary(min_size=1, max_size=3).filter(lambda raw: not set(raw) & {0, 47}), max_size=4)))
def test_keys_sort_as_a_walk_with_sorted_names_meets_them(paths_: list[list[bytes]]) -> None:
    keys = ["/" + b"/".join(parts).decode("utf-8", "surrogateescape") for parts in paths_]
    assert sorted(keys, key=key_order) == sorted(
        keys, key=lambda key: [p.encode("utf-8", "surrogateescape") for p in key.split("/") if p]
    )


def test_a_key_that_is_not_utf8_stands_in_base64() -> None:
    assert encode(Item("file", "/a\udcff", {})) == b'{"kind":"file","key_base64":"L2H/"}\n'


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]\n",
        b'{"key":"/a"}\n',
        b'{"kind":"file"}\n',
        b'{"kind":"file","key":""}\n',
        b'{"kind":"file","key":"a"}\n',
        b'{"kind":"file","key":"/a\\u0000"}\n',
        b'{"kind":"file","key_base64":"!"}\n',
        b'{"kind":"file","key":"/a","mode":[1]}\n',
        b'{"kind":"file","key":"/a","mode":1.5}\n',
        b'{"kind":1,"key":"/a"}\n',
        b"\xff\n",
        b'{"kind":"file","key":"/\\ud800"}\n',
        b'{"kind":"file","key":"/\\udc80"}\n',
        b'{"kind":"file","key":"/\xed\xa0\x80"}\n',
        b'{"kind":"file","key":"/a","target":"\\ud800"}\n',
        b'{"kind":"file","key":"/a","\\ud800":1}\n',
        '{"kind":"file","key":"/a"}\n'.encode("utf-16"),
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_item_is_refused(line: bytes) -> None:
    with pytest.raises(LineError):
        decode(line)


def test_a_difference_holds_just_what_differs() -> None:
    assert difference({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": None}) == ({"b": 2, "c": 3}, {"b": 4, "d": None})
