"""Reading manifests: every kind of damage is named, and one item is found among many."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.errors import ManifestError
from drift_agent.image.canonical import encode, order
from drift_agent.image.header import Header
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy, Rule
from drift_agent.model import Item

DIGEST = "1:sha256:" + "0" * 64


def write(path: Path, items: list[Item], **members: object) -> Path:
    body = b"".join(encode(item) for item in items)
    counts: dict[str, int] = {}
    for item in items:
        counts[item.kind] = counts.get(item.kind, 0) + 1
    header = Header("demo", "1", Policy.of([Rule("/tmp/***", "ignored")]), DIGEST, len(body), counts)
    values = {**json.loads(header.encode()), **members}
    path.write_bytes(json.dumps(values).encode() + b"\n" + body)
    return path


ITEMS = [
    Item("file", "/", {"type": "dir"}),
    Item("file", "/a", {"type": "dir"}),
    Item("file", "/a/b", {"type": "file", "mode": "0644"}),
    Item("file", "/a.b", {"type": "file"}),
    Item("file", "/a\udcff", {"type": "file"}),
    Item("package", "bash:amd64", {"version": "5"}),
    Item("user", "root", {"uid": 0}),
]


def test_header_items_and_stamp_are_read_back(tmp_path: Path) -> None:
    with Manifest.open(str(write(tmp_path / "m", ITEMS))) as manifest:
        assert manifest.header.stamp == "demo@1"
        assert manifest.header.counts == {"file": 5, "package": 1, "user": 1}
        assert list(manifest.items()) == ITEMS


def test_each_item_is_found_and_no_other(tmp_path: Path) -> None:
    with Manifest.open(str(write(tmp_path / "m", ITEMS))) as manifest:
        for item in ITEMS:
            assert manifest.find(item.kind, item.key) == item
        for kind, key in (("file", "/b"), ("user", "daemon"), ("aaa", "/"), ("zzz", "x"), ("package", "bash")):
            assert manifest.find(kind, key) is None


def test_what_stands_below_a_folder_is_found_without_its_neighbours(tmp_path: Path) -> None:
    with Manifest.open(str(write(tmp_path / "m", ITEMS))) as manifest:
        keys = [manifest.parse(line).key for line in manifest.lines_below("/a")]
        assert keys == ["/a", "/a/b"]
        assert len(list(manifest.lines_below("/"))) == 5
        assert list(manifest.lines_below("/none")) == []
        assert [item.key for item in manifest.of_kind("package")] == ["bash:amd64"]


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30)


@given(st.sets(st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)), max_size=40), names)
def test_bisecting_agrees_with_a_list(tmp_path_factory: pytest.TempPathFactory, keys: set[str], other: str) -> None:
    path = tmp_path_factory.mktemp("m") / "m"
    items = [Item("file", key, {"why": "x" * (len(key) * 97 % 5000)}) for key in keys]
    items.sort(key=lambda item: order("file", item.key))
    with Manifest.open(str(write(path, items))) as manifest:
        for item in items:
            assert manifest.find("file", item.key) == item
        wanted = f"/{other}"
        found = manifest.find("file", wanted)
        assert (found is not None) == (wanted in keys)


def _cut(raw: bytes) -> bytes:
    return raw[:-10]


def _append(raw: bytes) -> bytes:
    return raw + b'{"kind":"file","key":"/z"}\n'


@pytest.mark.parametrize("damage", [_cut, _append, lambda raw: raw[: raw.index(b"\n") + 1]])
def test_a_manifest_of_another_length_than_its_header_says_is_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path / "m", ITEMS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ManifestError, match="cut short, or changed"):
        Manifest.open(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1 has no end"),
        (b"{}", "line 1 has no end"),
        (b"hello\n", "line 1: the header is not JSON"),
        (b"[]\n", "line 1: the first line is not a manifest's header"),
        (b'{"schema":"driftline.manifest/9"}\n', "line 1: is of schema"),
        (b'{"kind":"file","key":"/a"}\n', "line 1: the first line is not"),
        (b"\xff\n", "line 1: the header is not JSON"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        Manifest.open(str(tmp_path / "m"))


def test_a_header_with_a_wrong_member_is_refused_where_it_stands(tmp_path: Path) -> None:
    path = write(tmp_path / "m", ITEMS, image="a b")
    with pytest.raises(ManifestError, match="m: line 1: image may hold"):
        Manifest.open(str(path))


def test_a_line_out_of_order_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "m", [ITEMS[0], ITEMS[2], ITEMS[1]])
    with Manifest.open(str(path)) as manifest, pytest.raises(ManifestError, match="line 4 is out of order"):
        list(manifest.items())


def test_a_line_that_comes_twice_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "m", [ITEMS[0], ITEMS[0]])
    with Manifest.open(str(path)) as manifest, pytest.raises(ManifestError, match="line 3 is out of order"):
        list(manifest.items())


def test_a_malformed_line_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "m", ITEMS)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'"mode":"0644"', b'"mode";"0644"'))
    with Manifest.open(str(path)) as manifest, pytest.raises(ManifestError, match="line 4 is not JSON"):
        list(manifest.items())


def test_a_manifest_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="drift image bake"):
        Manifest.open(str(tmp_path / "none"))
