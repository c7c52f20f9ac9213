"""What a scan remembers of a folder, when the next one believes it, and when it lists the folder again."""

import os
from collections.abc import Container, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from drift_agent.image import inspect, recall
from drift_agent.image.entry import Entry, OpenFolder, Seen
from drift_agent.image.look import Looker
from drift_agent.image.policy import Policy, Rule
from drift_agent.image.reading import Reader
from drift_agent.image.recall import Recall, Run
from drift_agent.image.statcache import StatCache
from trees import Tree, make_tree

POLICY = Policy.of([Rule("/d/s*", "sealed"), Rule("/d/[it]*/***", "ignored"), Rule("/d/i/keep")])
TREE: Tree = {"a": "1", "b": {"x": "2"}, "c": "3", "i": {"keep": "4"}, "s": "5", "t": {"drop": "6"}, "z": "7"}
SECOND = 1_000_000_000
HOUR = 3600 * SECOND

Steps = list[Entry | Run | str]


class Spy(Looker):
    """Remembers at which names it looked. The `broken` one cannot be read, the `vanished` is gone."""

    def __init__(self, broken: str, vanished: str) -> None:
        super().__init__(POLICY, frozenset(), Reader())
        self.looked_at: list[str] = []
        self._broken = broken
        self._vanished = vanished

    def look(self, folder: OpenFolder, name: str) -> Seen | None:
        self.looked_at.append(name)
        seen = super().look(folder, name)
        if seen is not None and seen.entry is not None and name == self._broken:
            seen.entry.error = "no leave"
        return None if name == self._vanished else seen


class Scanned:
    """The folder `/d` of a root, scanned by itself again and again, an hour after its last change."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "root/d"
        self.clock: list[int] = []
        """What the clock says from here on, each time that it is asked; in the end an hour after the last change."""
        self._cache = str(folder / "cache")
        listing = inspect.listing
        patch.setattr(inspect, "listing", lambda descriptor: self._listed(listing(descriptor)))
        patch.setattr(recall, "time", SimpleNamespace(time_ns=self._time))

    def make(self, tree: Tree) -> None:
        make_tree(self.folder, tree)

    def last_change(self) -> int:
        return max(os.lstat(path).st_ctime_ns for path in (self.folder, *self.folder.iterdir()))

    def scan(self, *, unsteady: Container[int] = (), broken: str = "", vanished: str = "") -> Steps:
        """The steps of one scan; a folder that comes as one run is that one."""
        self.listed = False
        looker = Spy(broken, vanished)
        cache = StatCache(self._cache, "one")
        descriptor = os.open(self.folder, inspect.OPEN_DIR)
        recall = Recall(looker, cache, unsteady)
        steps = recall.steps(OpenFolder(descriptor, "/d", POLICY.top(), "d"))
        found: Steps = [steps] if isinstance(steps, Run) else list(steps)
        recall.finish()
        os.close(descriptor)
        cache.finish()
        self.looked_at = looker.looked_at
        return found

    def _listed(self, listed: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
        self.listed = True
        return listed

    def _time(self) -> int:
        return self.clock.pop(0) if self.clock else self.last_change() + HOUR


@pytest.fixture
def scanned(tmp_path: Path) -> Iterator[Scanned]:
    with pytest.MonkeyPatch.context() as patch:
        yield Scanned(tmp_path, patch)


def one_by_one(steps: Steps) -> list[tuple[str, bytes] | str]:
    """Without runs: key and line of each entry, and the names to enter."""
    found: list[tuple[str, bytes] | str] = []
    for step in steps:
        entries = step.entries(POLICY) if isinstance(step, Run) else [step]
        found += [(one.key, one.line) if isinstance(one, Entry) else one for one in entries]
    return found


def test_an_unchanged_folder_without_folders_is_one_run_of_the_lines_it_had(scanned: Scanned) -> None:
    scanned.make({"a": "1", "b": "2", "c": "3"})
    first = scanned.scan()
    assert (scanned.listed, scanned.looked_at) == (True, ["a", "b", "c"])
    (run,) = again = scanned.scan()
    assert isinstance(run, Run)
    assert (run.count, scanned.listed, scanned.looked_at) == (3, False, [])
    assert one_by_one(again) == one_by_one(first)


def test_a_folders_name_follows_its_entry_and_a_sealed_entry_stands_by_itself(scanned: Scanned) -> None:
    scanned.make(TREE)
    first = scanned.scan()
    again = scanned.scan()
    assert (scanned.listed, scanned.looked_at) == (False, [])
    assert [step.count if isinstance(step, Run) else step for step in again if not isinstance(step, Entry)] == [
        2, "b", 1, "i", 1,
    ]  # fmt: skip
    assert [(step.key, step.decision.path_class) for step in again if isinstance(step, Entry)] == [("/d/s", "sealed")]
    assert one_by_one(again) == one_by_one(first)
    assert "t" not in one_by_one(first), "nothing is compared there"


def test_only_what_changed_is_looked_at_again(scanned: Scanned) -> None:
    scanned.make(TREE)
    first = one_by_one(scanned.scan())
    (scanned.folder / "c").write_text("changed")
    changed = one_by_one(scanned.scan())
    assert (scanned.listed, scanned.looked_at) == (True, ["c"])
    assert [before[0] for before, after in zip(first, changed, strict=True) if before != after] == ["/d/c"]
    assert one_by_one(scanned.scan()) == changed
    assert (scanned.listed, scanned.looked_at) == (False, [])


def test_names_that_came_and_went_are_found_and_the_others_are_not_looked_at(scanned: Scanned) -> None:
    scanned.make({"a": "1", "b": "2", "c": "3"})
    first = one_by_one(scanned.scan())
    (scanned.folder / "b").unlink()
    (scanned.folder / "bb").write_text("new")
    second = one_by_one(scanned.scan())
    assert (scanned.listed, scanned.looked_at) == (True, ["bb"])
    assert [step[0] for step in second] == ["/d/a", "/d/bb", "/d/c"]
    assert (second[0], second[2]) == (first[0], first[2])


@pytest.mark.parametrize(("broken", "vanished"), [("a", ""), ("", "a")])
def test_a_folder_of_which_not_all_could_be_seen_is_not_remembered(
    scanned: Scanned, broken: str, vanished: str
) -> None:
    scanned.make({"a": "1", "b": "2"})
    scanned.scan(broken=broken, vanished=vanished)
    assert len(one_by_one(scanned.scan())) == 2
    assert (scanned.listed, scanned.looked_at) == (True, ["a", "b"])


def test_a_folder_on_a_device_whose_stats_do_not_tell_every_change_is_never_believed(scanned: Scanned) -> None:
    scanned.make({"a": "1"})
    unsteady = {os.stat(scanned.folder).st_dev}
    scanned.scan(unsteady=unsteady)
    scanned.scan()
    assert scanned.looked_at == ["a"], "nor remembered"
    scanned.scan(unsteady=unsteady)
    assert (scanned.listed, scanned.looked_at) == (True, ["a"])


@pytest.mark.parametrize(("count", "remembered"), [(0, False), (1, True), (3, True), (4, False)])
def test_an_empty_folder_and_one_of_very_many_names_are_not_remembered(
    scanned: Scanned, monkeypatch: pytest.MonkeyPatch, count: int, remembered: bool
) -> None:
    monkeypatch.setattr(recall, "MAX_NAMES", 3)
    scanned.make({str(number): "" for number in range(count)})
    for _ in range(2):
        assert len(one_by_one(scanned.scan())) == count
    assert scanned.listed == (not remembered)


@pytest.mark.parametrize(
    ("seconds", "since", "listed", "looked_at"),
    [
        (1, "folder", True, ["file", "folder"]),
        (3, "file", True, ["file"]),
        (59, "file", True, ["file"]),
        (61, "file", False, []),
    ],
)
def test_a_folder_is_believed_after_two_seconds_and_a_file_after_a_minute(
    scanned: Scanned, seconds: int, since: str, listed: bool, looked_at: list[str]
) -> None:
    scanned.make({"folder": None, "file": "1"})  # in this order: the file is the one that changed last
    scanned.clock = [os.lstat(scanned.folder / since).st_ctime_ns + seconds * SECOND] * 2
    scanned.scan()
    scanned.scan()
    assert (scanned.listed, scanned.looked_at) == (listed, looked_at)


@pytest.mark.parametrize("clock", [(HOUR, SECOND), (SECOND, HOUR)], ids=["set back meanwhile", "a scan of an hour"])
def test_what_changed_just_before_either_end_of_a_scan_is_not_believed(
    scanned: Scanned, clock: tuple[int, int]
) -> None:
    scanned.make({"file": "1", "folder": None})
    scanned.clock = [scanned.last_change() + after for after in clock]
    scanned.scan()
    scanned.scan()
    assert (scanned.listed, scanned.looked_at) == (True, ["file", "folder"])


def test_a_file_whose_time_is_still_to_come_is_not_believed(scanned: Scanned) -> None:
    scanned.make({"file": "1", "other": "2"})
    soon = scanned.last_change() + 2 * HOUR
    os.utime(scanned.folder / "file", ns=(soon, soon))
    scanned.scan()
    scanned.scan()
    assert scanned.looked_at == ["file"]


def test_a_cache_in_which_names_and_count_disagree_is_not_believed(scanned: Scanned) -> None:
    scanned.make({"a": "1", "b": "2"})
    first = one_by_one(scanned.scan())
    cache = Path(scanned._cache)
    cache.write_bytes(cache.read_bytes().replace(b"a\0b", b"a\1b"))
    assert one_by_one(scanned.scan()) == first
    assert scanned.looked_at == ["a", "b"]
