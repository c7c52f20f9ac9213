"""Files looked at many at a time: whoever looks, each is what a look by itself says, and nothing is left open."""

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drift_agent.image import batches, inspect
from drift_agent.image.batches import Batches, Record
from drift_agent.image.canonical import decode
from drift_agent.image.entry import Entry, OpenFolder
from drift_agent.image.hash_helper import HashHelper
from drift_agent.image.hash_worker import BATCH, MAX_BYTES, WHOLE, look_at
from drift_agent.image.hashing import Hasher
from drift_agent.image.inspect import ReadStoppedError
from drift_agent.image.look import Looker
from drift_agent.image.policy import DEFAULT_DECISION, Policy, Rule
from drift_agent.image.scan import Scan
from drift_agent.image.statcache import StatCache
from trees import Link, Tree, make_tree

POLICY = Policy.of([Rule("/b/**", attributes=frozenset(["type", "sha256"])), Rule("/c/**", "sealed")])


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) <= before


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process starts with the first batch."""
    monkeypatch.setattr(batches, "START_AFTER", 0)


def lines(root: Path, hasher: Hasher | None = None) -> list[tuple[str, bytes, str]]:
    with Scan(str(root), POLICY, hasher=hasher) as scan:
        return [(entry.key, entry.line, entry.error) for entry in scan.entries()]


def many(root: Path) -> Path:
    """Three folders with files of all sizes, some with xattrs, and links and folders among them."""
    sizes = [0, 1, 100, 5000, 70_000, MAX_BYTES - 1, MAX_BYTES, MAX_BYTES + 1]
    tree: Tree = {
        top: {
            **{f"{number:02}": top * sizes[number % len(sizes)] for number in range(60)},
            "05-folder": {"x": "1", "y": "2"},
            "07-link": Link("x"),
        }
        for top in "abc"
    }
    make_tree(root, tree)
    for number in range(0, 60, 7):
        for top in "abc":
            os.setxattr(root / f"{top}/{number:02}", "user.note", b"1")
    for number in range(0, 60, 13):
        for note in range(number):
            os.setxattr(root / f"a/{number:02}", f"user.note-{note}", b"2")
    return root


@pytest.mark.usefixtures("at_once")
def test_a_scan_in_batches_says_what_one_without_says(tmp_path: Path) -> None:
    root = many(tmp_path)
    with Hasher() as hasher:
        assert lines(root, hasher) == lines(root)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_where_the_process_ends_or_hangs_what_it_had_is_looked_at_here(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drift_agent.image.hash_helper.ANSWER_SECONDS", 1)
    start = HashHelper.start
    signalled: list[int] = []

    def start_and_signal(helper: HashHelper) -> None:
        start(helper)
        if helper._process is not None and not signalled:
            helper._process.send_signal(number)
            signalled.append(helper._process.pid)

    monkeypatch.setattr(HashHelper, "start", start_and_signal)
    root = many(tmp_path)
    with Hasher() as hasher:
        assert lines(root, hasher) == lines(root)
    assert signalled


@pytest.mark.usefixtures("at_once")
def test_an_answer_that_does_not_fit_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    receive = HashHelper.receive

    def cut_short(helper: HashHelper, *, wait: bool) -> tuple[bytes, list[int]] | None:
        answer = receive(helper, wait=wait)
        return None if answer is None else (answer[0][1:], answer[1])

    root = many(tmp_path)
    monkeypatch.setattr(HashHelper, "receive", cut_short)
    with Hasher() as hasher:
        assert lines(root, hasher) == lines(root)


@pytest.mark.usefixtures("at_once")
def test_where_the_process_sees_nothing_we_look_at_many_at_a_time_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = HashHelper.receive

    def seen_nothing(helper: HashHelper, *, wait: bool) -> tuple[bytes, list[int]] | None:
        answer = receive(helper, wait=wait)
        return None if answer is None else (bytes(len(answer[0])), [])

    root = make_tree(tmp_path, {f"{number:03}": str(number) for number in range(6 * BATCH)})
    expected = lines(root)
    monkeypatch.setattr(HashHelper, "receive", seen_nothing)
    monkeypatch.setattr(Looker, "_settle_otherwise", None)
    with Hasher() as hasher:
        assert lines(root, hasher) == expected


def test_a_little_to_look_at_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(tmp_path, {str(number): "x" for number in range(4 * BATCH)})
    started: list[bool] = []
    monkeypatch.setattr(HashHelper, "start", lambda _: started.append(True))
    for start_after, expected in ((4 * BATCH, []), (4 * BATCH - 1, [True])):
        monkeypatch.setattr(batches, "START_AFTER", start_after)
        with Hasher() as hasher:
            lines(tmp_path, hasher)
        assert started == expected


@pytest.mark.usefixtures("at_once")
def test_nothing_is_left_open_where_a_scan_is_given_up(tmp_path: Path) -> None:
    root = many(tmp_path)
    with Hasher() as hasher, Scan(str(root), POLICY, hasher=hasher) as scan:
        entries = scan.entries()
        for _ in range(20):
            next(entries)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("with_cache", [False, True])
@pytest.mark.parametrize("patience", range(4))
def test_nothing_is_left_open_where_the_pace_ends_a_scan(
    tmp_path: Path, patience: int, with_cache: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it was at: here each batch is seen while the next one is at hand."""
    receive = HashHelper.receive
    monkeypatch.setattr(HashHelper, "receive", lambda helper, *, wait: receive(helper, wait=True))
    told: list[int] = []

    def pace(count: int) -> None:
        told.append(count)
        if len(told) > patience:
            raise ReadStoppedError

    root = make_tree(tmp_path / "root", {f"{number:02}": {"a": "x", "b": "y"} for number in range(4 * BATCH)})
    cache = StatCache(str(tmp_path / "cache"), "one")
    with (
        Hasher(pace=pace) as hasher,
        Scan(str(root), POLICY, hasher=hasher, pace=pace) as scan,
        pytest.raises(ReadStoppedError),
    ):
        list(scan.changes(cache) if with_cache else scan.entries())
    cache.close()


@pytest.mark.usefixtures("at_once")
def test_one_that_is_alone_reads_one_batch_ahead_of_the_pace_and_starts_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HashHelper, "start", lambda _: pytest.fail("a process was started"))
    read: list[int] = []
    told: list[int] = []

    def look_and_count(
        folders: Iterable[int], counts: Iterable[int], names: list[bytes], buffer: memoryview
    ) -> tuple[bytes, list[int]]:
        read.append(len(names))
        assert sum(read) - sum(told) <= BATCH
        return look_at(folders, counts, names, buffer)

    monkeypatch.setattr(batches, "look_at", look_and_count)
    root = make_tree(tmp_path, {f"{number:03}": "x" for number in range(4 * BATCH + 1)})
    with Hasher(alone=True) as hasher, Scan(str(root), Policy.of([]), hasher=hasher, pace=told.append) as scan:
        list(scan.entries())
    assert sum(read) == sum(told) == 4 * BATCH + 1


@pytest.mark.usefixtures("at_once")
def test_where_no_process_can_be_started_everything_is_looked_at_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object) -> None:
        raise OSError(24, "Too many open files")

    root = many(tmp_path)
    expected = lines(root)
    monkeypatch.setattr("socket.socketpair", no_more)
    with Hasher() as hasher:
        assert lines(root, hasher) == expected


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("patience", [0, 3])
def test_who_sets_the_pace_is_told_what_is_read_and_can_end_it(tmp_path: Path, patience: int) -> None:
    told: list[int] = []

    def pace(count: int) -> None:
        told.append(count)
        if len(told) > patience:
            raise ReadStoppedError

    root = make_tree(tmp_path, {str(number): "xy" for number in range(6 * BATCH)})
    with (
        Hasher(pace=pace) as hasher,
        Scan(str(root), POLICY, hasher=hasher, pace=pace) as scan,
        pytest.raises(ReadStoppedError),
    ):
        list(scan.entries())
    assert told == [2 * BATCH] * (patience + 1)


def test_what_is_told_of_each_file_is_told_with_its_own_folder(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": {"1": "x", "2": "yy"}, "b": {"1": "zzz"}})
    told: list[tuple[str, str, int, int]] = []

    def settle(folder: OpenFolder, entry: Entry, record: Record | None, xattrs: bytes, descriptor: int) -> None:
        assert record is not None
        assert xattrs == b""
        assert entry.unfinished is None
        assert os.readlink(f"/proc/self/fd/{folder.descriptor}") == str(tmp_path / folder.key[1:])
        told.append((entry.key, folder.key, record[0], record[8]))
        assert descriptor == -1

    many_files = Batches(settle)
    for key in ("/a/1", "/a/2", "/b/1"):
        folder, name = key[:2], key[3:]
        place = OpenFolder(os.open(tmp_path / folder[1:], inspect.OPEN_DIR), folder, POLICY.top(), folder[1:])
        entry = Entry(key, DEFAULT_DECISION, b"")
        many_files.give(place, name, entry)
        os.close(place.descriptor)
        assert entry.unfinished is not None
    entry.finish()
    many_files.close()
    assert told == [("/a/1", "/a", WHOLE, 1), ("/a/2", "/a", WHOLE, 2), ("/b/1", "/b", WHOLE, 3)]


def test_where_no_more_files_may_be_open_a_file_is_looked_at_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path, {"a": {"1": "x", "2": "y"}})
    expected = lines(root)
    dup = os.dup

    def no_more(descriptor: int) -> int:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/a"):
            raise OSError(24, "Too many open files")
        return dup(descriptor)

    monkeypatch.setattr(os, "dup", no_more)
    with Hasher() as hasher:
        assert lines(root, hasher) == expected


@pytest.mark.parametrize("becomes", ["nothing", "folder", "link", "fifo", "other file"])
def test_a_file_that_became_something_else_since_it_was_listed_is_what_it_is_now(
    tmp_path: Path, becomes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path, {"a": "1", "b": "2", "c": "3"})
    listing = inspect.listing

    def list_then_change(descriptor: int) -> list[tuple[str, bool]]:
        listed = listing(descriptor)
        (root / "b").unlink()
        new: dict[str, Tree] = {"folder": {"b": {"x": "1"}}, "link": {"b": Link("a")}}
        make_tree(root, new.get(becomes, {}))
        if becomes == "fifo":
            os.mkfifo(root / "b")
        if becomes == "other file":
            (root / "b").write_text("other")
        return listed

    monkeypatch.setattr(inspect, "listing", list_then_change)
    with Hasher() as hasher, Scan(str(root), Policy.of([]), hasher=hasher) as scan:
        entries = {entry.key: entry for entry in scan.entries()}
    monkeypatch.undo()
    if becomes == "nothing":
        assert set(entries) == {"/", "/a", "/c"}
        return
    assert set(entries) == {"/", "/a", "/b", "/c"}
    if becomes == "folder":
        assert (entries["/b"].line, entries["/b"].error) == (b"", "became a folder while it was looked at")
        assert entries["/b"].hidden_below
        return
    with Scan(str(root), Policy.of([])) as scan:
        now = scan.entry("/b")
    assert now is not None
    assert (entries["/b"].line, entries["/b"].error) == (now.line, "")
    kinds: dict[str, Any] = {"link": "link", "fifo": "fifo", "other file": "file"}
    assert decode(now.line).attributes["type"] == kinds[becomes]
