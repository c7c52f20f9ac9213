"""Walking a tree: what is seen, in which order, and that nothing leads the scan astray."""

import hashlib
import os
import socket
import stat
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from drift_agent.errors import InputError
from drift_agent.image import scan
from drift_agent.image.canonical import decode, encode, key_order
from drift_agent.image.entry import Entry
from drift_agent.image.hashing import Hasher
from drift_agent.image.policy import Policy, Rule
from drift_agent.image.scan import Scan
from trees import File, Link, Tree, make_tree

See: TypeAlias = "Callable[..., dict[str, Entry]]"


@pytest.fixture(params=[False, True], ids=["one by one", "in batches"])
def seen(request: pytest.FixtureRequest) -> See:
    """Looks at the tree at a root under some rules, in either way."""

    def see(root: Path, *rules: Rule) -> dict[str, Entry]:
        with (
            Hasher() if request.param else nullcontext() as hasher,
            Scan(str(root), Policy.of(rules), hasher=hasher) as scan,
        ):
            return {entry.key: entry for entry in scan.entries()}

    return see


def test_entries_stand_in_manifest_order_and_begin_with_the_root(seen: See, tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": {"x": "1"}, "a.b": "2", "a-b": None, "b": {"é": "3", "c": "4"}})
    (tmp_path / "b" / os.fsdecode(b"\xff")).write_text("")
    keys = list(seen(tmp_path))
    assert keys[:3] == ["/", "/a", "/a/x"]
    assert keys == sorted(keys, key=key_order)


def test_every_line_is_the_canonical_one(seen: See, tmp_path: Path) -> None:
    make_tree(tmp_path, {"dir": {"file": File("x", 0o4755), "link": Link("file")}})
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / 'a\nb\\"').write_text("")
    for entry in seen(tmp_path).values():
        item = decode(entry.line)
        assert encode(item) == entry.line
        assert item.key == entry.key


def test_types_modes_targets_and_contents_are_seen(seen: See, tmp_path: Path) -> None:
    make_tree(tmp_path, {"suid": File("x", 0o4755), "link": Link("../../etc"), "empty": "", "big": "x" * (3 << 20)})
    os.link(tmp_path / "empty", tmp_path / "hard")
    attributes = {key: decode(entry.line).attributes for key, entry in seen(tmp_path).items()}
    assert attributes["/suid"]["mode"] == "4755"
    assert attributes["/link"] == {"type": "link", "uid": os.getuid(), "gid": os.getgid(), "target": "../../etc"}
    assert attributes["/empty"]["nlink"] == 2
    assert attributes["/empty"]["sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert attributes["/big"]["sha256"] == hashlib.sha256(b"x" * (3 << 20)).hexdigest()


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="extended attributes are Linux's here")
def test_extended_attributes_are_seen_as_digests_but_never_roots_own(seen: See, tmp_path: Path) -> None:
    make_tree(tmp_path, {"file": "x", "dir": None})
    for name in ("file", "dir"):
        os.setxattr(tmp_path / name, "user.note", b"1")
    if os.geteuid() == 0:
        os.setxattr(tmp_path / "file", "trusted.note", b"1")
    entries = seen(tmp_path)
    for key in ("/file", "/dir"):
        xattrs = {name for name in decode(entries[key].line).attributes if name.startswith("xattr")}
        assert xattrs == {"xattr.user.note"}


def test_fifos_sockets_and_loops_of_links_are_items_that_nobody_opens(seen: See, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        make_tree(tmp_path, {"loop": Link("loop"), "a": Link("b"), "b": Link("a"), "up": Link("..")})
        types = {key: decode(entry.line).attributes["type"] for key, entry in seen(tmp_path).items()}
    assert types["/fifo"] == "fifo"
    assert types["/socket"] == "socket"
    assert types["/loop"] == types["/up"] == "link"
    assert len(types) == 7


def test_a_tree_deeper_than_path_max_and_than_the_open_files_is_walked(seen: See, tmp_path: Path) -> None:
    depth = 400
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 20, dir_fd=here)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=here)
        os.close(os.open("e", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.close(here)
        here = below
    os.close(here)
    entries = seen(tmp_path)
    assert len(entries) == 1 + 2 * depth
    assert not any(entry.error for entry in entries.values())
    assert max(map(len, entries)) > 4096


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_a_tree_that_branches_below_what_may_be_open_is_walked(
    seen: See, tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    twigs: Tree = {"1": {"f": "1", "x": {"f": "2"}, "y": {"f": "3"}}, "2": {"f": "4"}, "3": {"f": "5"}}
    tree: Tree = {"a": twigs, "b": twigs, "c": {"a": twigs, "b": twigs}}
    for _ in range(most):
        tree = {"d": tree, "e": "", "g": {"f": ""}}
    make_tree(tmp_path, tree)
    expected = ["/", *(f"/{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*"))]
    monkeypatch.setattr(scan, "MAX_OPEN_FOLDERS", most)
    entries = seen(tmp_path)
    assert list(entries) == sorted(expected, key=key_order)
    assert not any(entry.error for entry in entries.values())


def test_what_is_ignored_is_neither_seen_nor_descended_into(seen: See, tmp_path: Path) -> None:
    make_tree(tmp_path, {"var": {"log": {"a": "1"}, "lib": {"x": {"keep": "1", "drop": "2"}, "y": "3"}}, "etc": None})
    keys = set(seen(tmp_path, Rule("/var/**", "ignored"), Rule("/var/lib/x/keep")))
    assert keys == {"/", "/etc", "/var", "/var/lib/x/keep"}


def test_a_link_in_the_place_of_an_ignored_folder_that_leads_to_what_is_named_is_sealed(
    seen: See, tmp_path: Path
) -> None:
    make_tree(tmp_path, {"var": {"x": Link("/tmp"), "y": Link("/tmp"), "z": {"keep": "1"}, "any": "2"}})
    rules = [Rule("/var/**", "ignored"), Rule("/var/{x,z}/keep"), Rule("/**/any")]
    entries = seen(tmp_path, *rules)
    assert {key: entry.decision.path_class for key, entry in entries.items()} == {
        "/": "frozen", "/var": "frozen", "/var/any": "frozen", "/var/x": "sealed", "/var/z/keep": "frozen",
    }  # fmt: skip
    assert decode(entries["/var/x"].line).attributes["target"] == "/tmp"


def test_attributes_that_a_rule_leaves_out_are_not_in_the_line(seen: See, tmp_path: Path) -> None:
    make_tree(tmp_path, {"swap": "x", "dir": None})
    entries = seen(
        tmp_path, Rule("/swap", attributes=frozenset(["type", "mode"])), Rule("/dir", attributes=frozenset())
    )
    assert entries["/swap"].line == b'{"kind":"file","key":"/swap","type":"file","mode":"0644"}\n'
    assert entries["/dir"].line == b'{"kind":"file","key":"/dir"}\n'


def test_a_folder_that_becomes_a_link_during_the_scan_does_not_lead_outside(
    seen: See, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = make_tree(tmp_path / "outside", {"secret": "x"})
    root = make_tree(tmp_path / "root", {"dir": {"a": "1"}, "z": ""})
    real_stat = os.stat
    swapped: list[bool] = []

    def stat_then_swap(path: str, **options: Any) -> os.stat_result:
        status = real_stat(path, **options)
        if path == "dir" and not swapped:
            swapped.append(True)
            os.rename(root / "dir", root / "moved")
            os.symlink(outside, root / "dir")
        return status

    monkeypatch.setattr(os, "stat", stat_then_swap)
    entries = seen(root)
    assert swapped
    assert decode(entries["/dir"].line).attributes["type"] == "link"
    assert not any("secret" in key for key in entries)


def test_a_file_that_vanishes_between_listing_and_looking_is_absent(
    seen: See, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(tmp_path, {"a": "1", "b": "2"})
    real_open = os.open

    def open_or_vanish(path: str, flags: int, *more: Any, **options: Any) -> int:
        if os.fsdecode(path) == "a" and (tmp_path / "a").exists():
            (tmp_path / "a").unlink()
        return real_open(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", open_or_vanish)
    entries = seen(tmp_path)
    assert set(entries) == {"/", "/b"}
    assert not any(entry.error for entry in entries.values())


def test_one_path_can_be_looked_at_without_following_links(tmp_path: Path) -> None:
    make_tree(tmp_path, {"etc": {"a": {"b": "1"}}, "link": Link("etc"), "tmp": {"x": "1"}})
    with Scan(str(tmp_path), Policy.of([Rule("/tmp/***", "ignored")])) as scan:
        found = scan.entry("/etc/a/b")
        assert found is not None
        assert found.key == "/etc/a/b"
        assert [entry.key for entry in scan.entries("/etc")] == ["/etc", "/etc/a", "/etc/a/b"]
        root = scan.entry("/")
        assert root is not None
        assert root.key == "/"
        for absent in ("/none", "/link/a/b", "/etc/a/b/c", "/tmp/x"):
            assert scan.entry(absent) is None


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": {"b": {"c": "1"}}, "d": None})
    before = set(os.listdir("/proc/self/fd"))
    with Scan(str(tmp_path), Policy.of([])) as scan:
        entries = scan.entries()
        next(entries)
        next(entries)
        entries.close()  # type: ignore[attr-defined]
        list(scan.entries())
        scan.entry("/a/b")
        scan.entry("/x/y")
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to read as another user and come back")
def test_what_cannot_be_read_is_an_entry_with_its_reason(seen: See, tmp_path: Path) -> None:
    make_tree(tmp_path, {"closed": {"a": "1"}, "secret": File("x", 0o600), "open": "y"})
    (tmp_path / "closed").chmod(0o700)
    for parent in [tmp_path, *tmp_path.parents]:
        parent.chmod(stat.S_IMODE(parent.stat().st_mode) | 0o755)
    os.seteuid(65534)
    try:
        entries = seen(tmp_path)
    finally:
        os.seteuid(0)
    assert {key for key, entry in entries.items() if entry.error} == {"/closed", "/secret"}
    assert entries["/closed"].hidden_below
    assert decode(entries["/secret"].line).attributes["mode"] == "0600"
    assert entries["/secret"].error == "Permission denied"


def test_a_root_that_is_none_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened as a root folder"):
        Scan(str(tmp_path / "none"), Policy.of([]))
