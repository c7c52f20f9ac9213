"""A check with a cache says what a check without one says, and reads only what changed."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift_agent.drift.check import check_tree
from drift_agent.image import batches, hash_worker, inspect, mounts, recall
from drift_agent.image.entry import Entry, OpenFolder
from drift_agent.image.hash_worker import RECORD
from drift_agent.image.policy import Policy, Rule
from drift_agent.image.stat_record import stat_key
from drift_agent.image.statcache import StatCache
from trees import Tree, bake_tree, make_tree

POLICY = Policy.of(
    [
        Rule("/s*", "sealed"), Rule("/i/***", "ignored"), Rule("/i/keep"), Rule("/d/s/**", "sealed"),
        Rule("/i/state/keep"),
    ]
)  # fmt: skip
TREE: Tree = {
    "a": "1", "b": {"x": "2", "y": "3"}, "c": None, "d": {"e": {"f": "4"}, "s": {"t": "5"}}, "s1": "6",
    "i": {"drop": "7", "keep": "8"}, "z": "9",
}  # fmt: skip


def set_back(*paths: Path) -> None:
    """Their mtimes, as whoever covers up would."""
    for path in paths:
        os.utime(path, ns=(1, 1))


Edit = Callable[[Path], object]
EDITS: list[Edit] = [
    lambda root: (root / "a").write_text("changed"),
    lambda root: (root / "b/x").write_text("9"),
    lambda root: (root / "b/new").write_text("n"),
    lambda root: (root / "b/y").unlink(missing_ok=True),
    lambda root: (root / "c/deep/er").mkdir(parents=True, exist_ok=True),
    lambda root: (root / "d/e/f").write_text("5"),
    lambda root: (root / "d/e").chmod(0o700),
    lambda root: (root / "s1").write_text("sealed"),
    lambda root: (root / "s2").write_text("sealed"),
    lambda root: (root / "d/s/t").write_text("sealed"),
    lambda root: (root / "i/drop").write_text("ignored"),
    lambda root: (root / "i/keep").write_text("kept"),
    lambda root: (root / "b").rename(root / "bb") if (root / "b").exists() and not (root / "bb").exists() else None,
    lambda root: (root / "z").chmod(0o4755),
    lambda root: make_tree(root, {"b": {"x": "2"}}),
    lambda root: (root / "d/e/g").write_text("4"),
    lambda root: (root / "d/e/f").rename(root / "d/e/g"),
    lambda root: set_back(root / "d/e", root / "d/e/f"),
    lambda root: (root / "i/state").symlink_to("/tmp") if not os.path.lexists(root / "i/state") else None,
    lambda root: (root / "i/state").unlink(missing_ok=True),
    lambda root: (
        (root / "i/more/keep").write_text("not kept") if (root / "i/more").is_dir() else (root / "i/more").mkdir()
    ),
]


@pytest.fixture
def trusted() -> Iterator[None]:
    """Everything may be trusted at once, wherever it lies: a test cannot set ctimes back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mounts, "unsteady", frozenset)
        patch.setattr(recall, "FRESH_NS", -(10**18))
        yield


def next_tick(folder: Path) -> None:
    """Waits until the clock that stamps files has gone on: what changes now has another ctime than what changed."""
    hand = folder / "tick"
    hand.touch()
    began = os.stat(hand).st_ctime_ns
    while os.stat(hand).st_ctime_ns == began:
        hand.touch()


@pytest.mark.usefixtures("trusted")
@settings(max_examples=100)
@given(st.lists(st.lists(st.sampled_from(range(len(EDITS))), max_size=4), min_size=1, max_size=4))
def test_whatever_happens_between_rescans_is_found(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[int]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("t")
    root = make_tree(tmp_path / "root", TREE)
    cache = str(tmp_path / "cache")
    with bake_tree(root, tmp_path / "m", POLICY) as manifest:
        for edits in [[], *rounds, []]:
            next_tick(tmp_path)
            for number in edits:
                try:
                    EDITS[number](root)
                except FileNotFoundError:
                    continue
            next_tick(tmp_path)
            cached = check_tree(str(root), manifest, cache=cache)
            plain = check_tree(str(root), manifest)
            assert cached.changes == plain.changes
            assert cached.observed == plain.observed
            assert cached.scanned == plain.scanned


class Work:
    """What a check had to read: sizes of the contents, how many folders it listed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.contents: list[int] = []
        self.listed = 0
        self._look_at, self._listing = hash_worker.look_at, inspect.listing
        patch.setattr(batches, "look_at", self._counted_look_at)
        patch.setattr(inspect, "listing", self._counted_listing)

    def begin(self) -> None:
        """Counts from nothing."""
        self.contents, self.listed = [], 0

    def _counted_look_at(
        self, folders: Iterable[int], counts: Iterable[int], names: list[bytes], buffer: memoryview
    ) -> tuple[bytes, list[int]]:
        records, left_open = self._look_at(folders, counts, names, buffer)
        self.contents += [record[7] for record in RECORD.iter_unpack(records)]
        return records, left_open

    def _counted_listing(self, descriptor: int) -> list[tuple[str, bool]]:
        self.listed += 1
        return self._listing(descriptor)


@pytest.mark.usefixtures("trusted")
def test_an_unchanged_tree_is_neither_listed_nor_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree(tmp_path / "root", {name: node for name, node in TREE.items() if name != "c"})
    cache = str(tmp_path / "cache")
    work = Work(monkeypatch)
    with bake_tree(root, tmp_path / "m", POLICY) as manifest:
        work.begin()
        assert check_tree(str(root), manifest, cache=cache).changes == []
        assert (len(work.contents), work.listed) == (8, 6)
        (root / "s1").write_text("sealed, and differs from the image ever after")
        check_tree(str(root), manifest, cache=cache)
        work.begin()
        written = stat_key(os.stat(cache))
        result = check_tree(str(root), manifest, cache=cache)
        assert [change.key for change in result.changes] == ["/s1"]
        assert result.observed == manifest.header.digest
        assert (work.contents, work.listed) == ([], 0)
        assert stat_key(os.stat(cache)) == written
        (root / "b/x").write_text("new")
        assert [change.key for change in check_tree(str(root), manifest, cache=cache).changes] == ["/b/x", "/s1"]
        assert len(work.contents) == 1
        work.begin()
        check_tree(str(root), manifest, cache=cache, rehash=True)
        assert (len(work.contents), work.listed) == (8, 6)


@pytest.mark.usefixtures("trusted")
def test_where_a_stat_does_not_tell_every_change_everything_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On FAT, say, whose files have no ctime of their own."""
    root = make_tree(tmp_path / "root", TREE)
    monkeypatch.setattr(mounts, "unsteady", lambda: frozenset({os.stat(root).st_dev}))
    work = Work(monkeypatch)
    with bake_tree(root, tmp_path / "m", POLICY) as manifest:
        for _ in range(2):
            work.begin()
            assert check_tree(str(root), manifest, cache=str(tmp_path / "cache")).changes == []
            assert len(work.contents) == 8


def test_a_name_that_came_within_the_tick_of_the_last_look_is_seen(tmp_path: Path) -> None:
    """A folder that changed a moment ago is listed again, even if its stat is what it was."""
    root = make_tree(tmp_path / "root", {"d": {"a": "1"}})
    cache = str(tmp_path / "cache")
    with bake_tree(root, tmp_path / "m") as manifest:
        assert check_tree(str(root), manifest, cache=cache).changes == []
        was = {os.stat(path).st_ino: os.stat(path) for path in (root, root / "d")}
        original = os.fstat
        (root / "d/b").write_text("2")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fstat", lambda descriptor: was.get((now := original(descriptor)).st_ino, now))
            assert [change.key for change in check_tree(str(root), manifest, cache=cache).changes] == ["/d/b"]


def test_what_was_just_written_is_read_again(tmp_path: Path) -> None:
    """Within one tick of the clock a second write would leave the same stat behind."""
    root = make_tree(tmp_path / "root", {"a": "1"})
    cache = str(tmp_path / "cache")
    with bake_tree(root, tmp_path / "m") as manifest:
        assert check_tree(str(root), manifest, cache=cache).changes == []
        status, own = os.stat(root / "a"), os.stat(root)
        original = os.lstat

        def same_stat(path: str | bytes, *, dir_fd: int | None = None) -> os.stat_result:
            return status if path in ("a", b"a") else original(path, dir_fd=dir_fd)

        (root / "a").write_text("2")
        assert os.stat(root) == own
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "lstat", same_stat)
            assert [change.key for change in check_tree(str(root), manifest, cache=cache).changes] == ["/a"]


@pytest.mark.usefixtures("trusted")
def test_a_folder_of_very_many_names_is_checked_without_being_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall, "MAX_NAMES", 3)
    root = make_tree(tmp_path / "root", {"many": {str(number): "" for number in range(5)}, "few": {"x": ""}})
    with bake_tree(root, tmp_path / "m") as manifest:
        for _ in range(2):
            result = check_tree(str(root), manifest, cache=str(tmp_path / "cache"))
            assert (result.changes, result.observed) == ([], manifest.header.digest)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("name", ["+", "z"])
@pytest.mark.parametrize("known", [False, True])
def test_while_a_file_is_read_no_more_is_held_than_a_part_of_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, known: bool
) -> None:
    """Neither of what is handed on behind it, nor of what is remembered behind its folder."""
    monkeypatch.setattr(recall, "MAX_LATER", 70)
    root = make_tree(tmp_path / "root", {name: "x", **{f"{number:02}": {"a": "x", "b": "y"} for number in range(60)}})
    cache = str(tmp_path / "cache")
    with bake_tree(root, tmp_path / "m") as manifest:
        if known:
            check_tree(str(root), manifest, cache=cache)
        (root / name).write_text("y" * (2 << 20))
        held = Held(monkeypatch)
        assert [change.key for change in check_tree(str(root), manifest, cache=cache).changes] == [f"/{name}"]
    assert held.walked == held.remembered == 61
    assert held.most <= 70 // 2 + 1


class Held:
    """Counts folders that were walked and not yet remembered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.walked = self.remembered = self.most = 0
        steps = recall.Recall.steps
        same, keep = StatCache.same, StatCache.keep

        def walk(of: recall.Recall, folder: OpenFolder) -> Iterator[Entry | recall.Run | str] | recall.Run:
            self.walked += 1
            self.most = max(self.most, self.walked - self.remembered)
            return steps(of, folder)

        def remember(by: Callable[..., None], *what: object) -> None:
            self.remembered += 1
            by(*what)

        monkeypatch.setattr(recall.Recall, "steps", walk)
        monkeypatch.setattr(StatCache, "same", lambda *what: remember(same, *what))
        monkeypatch.setattr(StatCache, "keep", lambda *what: remember(keep, *what))


def test_a_cache_of_another_image_is_not_believed(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root", TREE)
    cache = str(tmp_path / "cache")
    with bake_tree(root, tmp_path / "m", POLICY) as manifest:
        check_tree(str(root), manifest, cache=cache)
    (root / "a").write_text("another image")
    with bake_tree(root, tmp_path / "n", Policy.of([])) as manifest:
        result = check_tree(str(root), manifest, cache=cache)
        assert (result.changes, result.observed) == ([], manifest.header.digest)
