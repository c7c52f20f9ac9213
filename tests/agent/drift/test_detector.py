"""The detector says what it found, once, in order, and forgets nothing."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from detectors import make_detector, newest_set, said
from drift_agent.config import AgentOptions, Config, ImageOptions
from drift_agent.drift.dirty import DirtySet
from drift_agent.drift.points import MAX_ITEMS
from drift_agent.drift.scanner import ScanStopped, idle_thread
from drift_agent.drift.state import StateStore
from drift_agent.errors import ManifestError
from drift_agent.model import Change, Point, Unreadable
from fakes import FakeClock
from looks import FakeComparison, modified
from waiting import PATIENCE

KEY = Change("file", "/etc/ssh/ssh_host_key", "added", "sealed", actual={"sha256": "first"})


class Watched:
    """A watcher that the test moves."""

    def __init__(self) -> None:
        self.problem = ""
        self.started = self.stopped = False
        self.scans: list[float] = []

    def start(self) -> None:
        self.started = True

    def scanned(self, began: float) -> None:
        self.scans.append(began)

    def stop(self) -> None:
        self.stopped = True


class Bench:
    """One detector on a fake machine, its points, and its watcher."""

    def __init__(self, folder: Path, *, root: Path | None = None) -> None:
        self.clock = FakeClock()
        self.image = FakeComparison()
        self.watcher = Watched()
        self.log: list[str] = []
        self.informed: list[str] = []
        self.points: list[Point] = []
        self.problem: Exception | None = None
        self.opened = 0
        root = root or folder / "root"
        root.mkdir(exist_ok=True)
        self.config = Config(
            agent=AgentOptions(state_dir=str(folder), report_interval=60.0),
            image=ImageOptions(root=str(root), scan_interval=900.0, settle=600.0),
        )
        self.start()

    def start(self, boot_id: str = "boot-1", *, threaded: bool = False) -> None:
        """A new agent on the same machine."""
        self.detector = make_detector(
            self.config,
            self.open,
            self.clock,
            self.points.extend,
            self.log.append,
            boot_id=boot_id,
            make_watcher=self.watch,
            executor=idle_thread() if threaded else None,
            inform=self.informed.append,
        )
        self.detector._running = True

    def open(self) -> FakeComparison:
        self.opened += 1
        if self.problem is not None:
            raise self.problem
        return self.image

    def watch(self, dirty: DirtySet, _: Callable[[str], bool]) -> Watched:
        self.dirty = dirty
        return self.watcher

    def restart(self, boot_id: str = "boot-1") -> None:
        self.detector.close()
        self.start(boot_id)

    def pass_time(self, seconds: float) -> None:
        """Steps as `run` would, a second at a time."""
        for _ in range(round(seconds)):
            self.clock.advance(1.0)
            self.detector.step()

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Steps without the clock until a scan of another thread was taken."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.001)
            self.detector.step()

    def touch(self, path: str) -> None:
        """A hint, and the time until it is looked at."""
        self.dirty.mark(path)
        self.clock.advance(0.25)
        self.detector.step()

    @property
    def said(self) -> list[Point]:
        return said(self.points)

    @property
    def last(self) -> Point:
        return self.said[-1]

    def items(self) -> list[tuple[object, ...]]:
        return [(p.tags["kind"], p.fields["key"], p.tags["change"]) for p in newest_set(self.points)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.detector.close()


def test_it_is_pending_until_the_first_scan_is_complete(bench: Bench) -> None:
    assert bench.detector.current_state() == "pending"
    bench.detector.step()
    assert bench.last.fields["state"] == "clean"
    assert bench.last.fields["scan_at"] == bench.clock.time_ns()
    assert bench.last.fields["observed"] == bench.last.fields["manifest"] == "1:sha256:image"


def test_a_changed_file_is_an_item_before_its_drift_point(bench: Bench) -> None:
    bench.image.changes = [modified("/etc/motd")]
    bench.detector.step()
    assert [point.measurement for point in bench.points[-2:]] == ["drift_item", "drift"]
    assert bench.last.fields["state"] == "drifted"
    assert bench.last.fields["modified"] == 1
    assert bench.items() == [("file", "/etc/motd", "modified")]


def test_a_hint_is_looked_at_without_a_scan(bench: Bench) -> None:
    bench.detector.step()
    bench.image.changes = [modified("/etc/motd")]
    bench.touch("/etc/motd")
    assert bench.last.fields["state"] == "drifted"
    assert bench.image.looked_at == [None, frozenset({"/etc/motd"})]


def test_lost_hints_end_in_a_scan(bench: Bench) -> None:
    bench.detector.step()
    bench.image.changes = [modified("/etc/motd")]
    bench.dirty.mark_everything()
    bench.pass_time(2)
    assert bench.last.fields["state"] == "drifted"
    assert bench.image.looked_at == [None, None]


def test_the_watcher_hears_of_every_complete_scan_when_it_began(bench: Bench) -> None:
    """What was lost before that is made up for: a watcher that is not told stays degraded for good."""
    began = bench.clock.monotonic()
    bench.detector.step()
    bench.problem = ManifestError("m: line 1 is not a header")
    bench.pass_time(901)
    assert bench.watcher.scans == [began]
    bench.problem = None
    bench.pass_time(60)
    assert len(bench.watcher.scans) == 2


def flicker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """First boot is not over, the only item that differed is put right, and the scan that must confirm it is not due.

    The last one took 90 s, so that it rests for 360 s.
    """
    cloud = Path(bench.config.image.root) / "usr/bin/cloud-init"
    cloud.parent.mkdir(parents=True)
    cloud.write_text("")
    tree = FakeComparison.tree
    monkeypatch.setattr(FakeComparison, "tree", lambda *a, **k: replace(tree(*a, **k), seconds=90.0))
    bench.image.changes = [modified("/etc/motd")]
    bench.detector.step()
    bench.image.changes = []
    bench.touch("/etc/motd")


def test_nothing_is_called_clean_before_what_was_seen_adds_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the seal a hint may tell that all is right again; the digest of what was seen is the last scan's."""
    flicker(bench, monkeypatch)
    before = len(bench.said)
    assert [bench.last.fields[name] for name in ("state", "modified", "observed")] == ["pending", 0, ""]
    bench.pass_time(300)
    assert len(bench.said) - before == 5, "it goes on reporting"
    bench.pass_time(61)
    assert bench.last.fields["state"] == "clean"
    clean = [point.fields for point in bench.said if point.fields["state"] == "clean"]
    assert all(fields["observed"] == fields["manifest"] for fields in clean)


def test_what_is_put_right_while_a_scan_runs_that_saw_it_must_add_up_too(bench: Bench) -> None:
    """It was called clean with the digest of another tree, which reads as drifted: a first boot's temporary file."""
    cloud = Path(bench.config.image.root) / "usr/bin/cloud-init"
    cloud.parent.mkdir(parents=True)
    cloud.write_text("")
    scanning, go_on = Event(), Event()
    bench.detector.close()
    bench.start(threaded=True)

    def be_long() -> None:
        scanning.set()
        assert go_on.wait(PATIENCE)

    bench.image.during_scan = be_long
    bench.image.changes = [modified("/etc/motd")]
    bench.detector.step()
    assert scanning.wait(PATIENCE)
    bench.image.changes = []
    bench.touch("/etc/motd")
    go_on.set()
    bench.wait_for(lambda: bench.last.fields["scan_at"] != 0)
    assert [bench.last.fields[name] for name in ("state", "modified", "observed")] == ["pending", 0, ""]
    bench.pass_time(2)
    bench.wait_for(lambda: bench.last.fields["state"] == "clean")
    assert bench.last.fields["observed"] == bench.last.fields["manifest"]
    bench.detector._scanner.stop()


def test_what_happens_before_it_adds_up_is_said_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    flicker(bench, monkeypatch)
    bench.detector._take_in_logins([([Change("login", "eve@tty1", "added", severity="high")], [])])
    bench.pass_time(1)
    assert [bench.last.fields[name] for name in ("state", "observed")] == ["tainted", ""]
    bench.image.changes = [modified("/etc/shadow")]
    bench.touch("/etc/shadow")
    assert bench.last.fields["state"] == "drifted"
    assert ("file", "/etc/shadow", "modified") in bench.items()


def test_a_tree_that_never_rests_is_scanned_a_fifth_of_the_time_at_most(bench: Bench) -> None:
    """A scan of the fake takes 0.25 s, so that the least pause is what counts."""
    bench.detector.step()
    for _ in range(100):
        bench.dirty.mark_everything()
        bench.clock.advance(0.25)
        bench.detector.step()
    assert len(bench.image.looked_at) <= 1 + 25


def test_a_seal_that_the_disk_does_not_take_is_tried_a_fifth_of_the_time_at_most(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(StateStore, "_write", fail)
    for _ in range(100):
        bench.clock.advance(0.25)
        bench.detector.step()
    assert 10 < len(bench.image.looked_at) <= 1 + 25


def test_first_boot_that_is_over_asks_no_more_often_for_a_manifest_that_is_not_there(bench: Bench) -> None:
    (Path(bench.config.image.root) / "etc/cloud").mkdir(parents=True)
    (Path(bench.config.image.root) / "etc/cloud/cloud.cfg").touch()
    bench.detector.step()
    bench.problem = ManifestError("no manifest")
    bench.pass_time(601)
    before = bench.opened
    bench.pass_time(600)
    assert 9 <= bench.opened - before <= 11


def test_while_a_long_scan_runs_it_goes_on_saying_and_looking(bench: Bench) -> None:
    scanning, go_on = Event(), Event()
    bench.detector.step()
    bench.detector.close()
    bench.start(threaded=True)
    bench.detector.step()
    bench.wait_for(lambda: bench.last.fields["state"] == "clean")

    def be_long() -> None:
        scanning.set()
        assert go_on.wait(PATIENCE)

    bench.image.during_scan = be_long
    bench.clock.advance(900.0)
    bench.detector.step()
    assert scanning.wait(PATIENCE)
    before = len(bench.said)
    bench.pass_time(120)
    assert len(bench.said) - before == 2
    bench.image.changes = [modified("/etc/motd")]
    bench.touch("/etc/motd")
    assert bench.items() == [("file", "/etc/motd", "modified")]
    go_on.set()
    bench.wait_for(lambda: bench.last.fields["scan_at"] == bench.clock.time_ns())
    assert bench.items() == [("file", "/etc/motd", "modified")], "the scan had passed it before it changed"
    assert bench.last.fields["reverted"] == 0
    bench.detector._scanner.stop()


def test_while_the_first_scan_runs_it_looks_already(bench: Bench) -> None:
    scanning, go_on = Event(), Event()
    bench.detector.close()
    bench.start(threaded=True)

    def be_long() -> None:
        scanning.set()
        assert go_on.wait(PATIENCE)

    bench.image.during_scan = be_long
    bench.detector.step()
    assert scanning.wait(PATIENCE)
    bench.image.changes = [modified("/etc/motd")]
    bench.touch("/etc/motd")
    assert bench.last.fields["state"] == "pending"
    assert bench.items() == [("file", "/etc/motd", "modified")]
    bench.dirty.mark_everything()
    bench.pass_time(1)
    go_on.set()
    bench.wait_for(lambda: bench.last.fields["state"] == "drifted")
    assert bench.items() == [("file", "/etc/motd", "modified")]
    bench.pass_time(1)
    bench.wait_for(lambda: bench.image.looked_at.count(None) == 2)
    bench.detector._scanner.stop()


def test_what_could_not_be_written_is_written_with_what_comes_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.detector.step()

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(StateStore, "write", fail)
        patched.setattr(StateStore, "rewrite", fail)
        bench.image.changes = [modified("/etc/motd")]
        bench.touch("/etc/motd")
    assert bench.last.fields["modified"] == 1
    assert sum("cannot be written" in line for line in bench.log) == 1
    bench.pass_time(61)
    bench.image.changes = []
    bench.restart()
    bench.detector.step()
    assert bench.items() == [("file", "/etc/motd", "reverted")]


def test_on_a_full_disk_no_number_comes_twice_and_no_seal_is_made_that_a_restart_forgets(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would read as a memory that was wiped, for the life of the instance."""

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    bench.image.changes = [KEY]
    with monkeypatch.context() as patched:
        patched.setattr(StateStore, "_write", fail)
        bench.pass_time(901)
        assert bench.last.fields["sealed"] == 0
        bench.restart()
        bench.pass_time(61)
    bench.restart()
    bench.pass_time(901)
    assert bench.last.fields["sealed"] > 0
    numbers = [point.fields["seq"] for point in bench.said]
    assert len(numbers) == len(set(numbers))
    assert len({point.fields["sealed"] for point in bench.said} - {0}) == 1


def test_a_hint_during_a_scan_is_looked_at_after_it(bench: Bench) -> None:
    bench.detector.step()

    def change_behind_the_scan() -> None:
        bench.image.changes = [modified("/etc/motd")]
        bench.dirty.mark("/etc/motd")

    bench.image.during_scan = change_behind_the_scan
    bench.clock.advance(900.0)
    bench.detector.step()
    bench.clock.advance(0.25)
    bench.detector.step()
    assert bench.last.fields["state"] == "drifted"


def test_what_is_put_back_stays_reverted_across_restarts_and_boots(bench: Bench) -> None:
    bench.detector.step()
    bench.image.changes = [modified("/etc/motd")]
    bench.touch("/etc/motd")
    first_seen = bench.points[-2].fields["first_seen"]
    bench.image.changes = []
    bench.touch("/etc/motd")
    assert bench.last.fields["reverted"] == 1
    bench.restart("boot-2")
    bench.detector.step()
    assert bench.last.fields["state"] == "drifted"
    assert bench.items() == [("file", "/etc/motd", "reverted")]
    assert bench.points[-2].fields["first_seen"] == first_seen


def test_what_was_put_back_while_no_agent_ran_is_reverted_too(bench: Bench) -> None:
    bench.detector.step()
    bench.image.changes = [modified("/etc/motd")]
    bench.touch("/etc/motd")
    bench.image.changes = []
    bench.restart()
    bench.detector.step()
    assert bench.items() == [("file", "/etc/motd", "reverted")]


@pytest.mark.parametrize("put_back", [True, False])
def test_drift_whose_record_is_damaged_is_still_drift(bench: Bench, put_back: bool) -> None:
    bench.image.changes = [modified("/etc/motd")]
    bench.detector.step()
    bench.image.changes = []
    if put_back:
        bench.touch("/etc/motd")
    bench.detector.close()
    db = sqlite3.connect(f"{bench.config.agent.state_dir}/state.db")
    assert db.execute("UPDATE item SET change = 'x'").rowcount == 1
    db.commit()
    db.close()
    bench.start()
    bench.detector.step()
    assert bench.last.fields["state"] == "drifted"
    assert bench.items() == [("file", "/etc/motd", "reverted")]


def test_an_item_that_becomes_unreadable_was_not_put_back(bench: Bench) -> None:
    bench.image.changes = [modified("/etc/cron.d/job")]
    bench.detector.step()
    bench.image.changes = []
    bench.image.unreadable = [Unreadable("file", "/etc/cron.d", "permission denied")]
    bench.pass_time(900)
    assert bench.last.fields["reverted"] == 0
    assert bench.last.fields["modified"] == 1
    assert bench.last.fields["unreadable"] == 1


def test_something_unreadable_is_not_clean(bench: Bench) -> None:
    bench.image.unreadable = [Unreadable("file", "/etc/shadow", "permission denied")]
    bench.detector.step()
    assert bench.last.fields["state"] == "unverified"


def test_what_becomes_unreadable_is_said_at_once(bench: Bench) -> None:
    bench.detector.step()
    bench.image.unreadable = [Unreadable("file", "/etc/motd", "permission denied")]
    bench.touch("/etc/motd")
    assert (bench.last.fields["unreadable"], bench.last.fields["state"]) == (1, "unverified")
    bench.image.unreadable = []
    bench.touch("/etc/motd")
    assert (bench.last.fields["unreadable"], bench.last.fields["state"]) == (0, "clean")


def test_a_point_is_sent_each_report_interval_without_a_change(bench: Bench) -> None:
    bench.detector.step()
    count = len(bench.said)
    bench.pass_time(300)
    assert len(bench.said) - count == 5
    assert bench.last.fields["interval"] == 60


def test_everything_is_looked_at_each_scan_interval(bench: Bench) -> None:
    bench.detector.step()
    bench.pass_time(1800)
    assert bench.image.looked_at == [None, None, None]


def test_every_content_is_read_at_the_first_scan_and_then_at_its_own_pace(bench: Bench) -> None:
    bench.detector.step()
    bench.pass_time(1800)
    bench.clock.advance(86400.0)
    bench.detector.step()
    bench.pass_time(900)
    assert bench.image.rehashed == [True, False, False, True, False]


def test_the_report_stamp_is_anew_at_each_scan(bench: Bench) -> None:
    bench.image.changes = [modified("/etc/motd")]
    bench.detector.step()
    before = bench.last.fields["report"]
    bench.pass_time(900)
    assert bench.last.fields["report"] != before
    assert bench.items() == [("file", "/etc/motd", "modified")]


def test_seq_and_stamps_go_on_after_a_restart_and_a_clock_that_stepped_back(bench: Bench) -> None:
    bench.image.changes = [modified("/etc/motd")]
    bench.detector.step()
    seq, report, since = (bench.last.fields[name] for name in ("seq", "report", "since"))
    bench.restart()
    bench.clock.now_ns -= 3600 * 10**9
    bench.detector.step()
    assert bench.last.fields["seq"] == int(seq) + 1
    assert int(bench.last.fields["report"]) > int(report)
    assert bench.last.fields["since"] == since


def test_a_burst_of_changes_leaves_ten_sets_and_then_one_in_ten_seconds(bench: Bench) -> None:
    bench.detector.step()
    for number in range(40):
        bench.image.changes = [modified("/etc/motd", sha256=str(number))]
        bench.touch("/etc/motd")
    assert len({point.fields["report"] for point in bench.said} - {0}) <= 11
    bench.pass_time(20)
    assert [p.fields["actual"] for p in bench.points if p.measurement == "drift_item"][-1] == '{"sha256":"39"}'


def test_without_a_manifest_it_says_unverified_and_tries_again(bench: Bench) -> None:
    bench.problem = ManifestError("/m: cannot be read: No such file or directory")
    bench.detector.step()
    assert bench.last.fields["state"] == "unverified"
    assert "No such file" in bench.log[0]
    bench.problem = None
    bench.pass_time(61)
    assert bench.last.fields["state"] == "clean"


def test_what_comes_and_goes_while_the_manifest_is_away_is_not_forgotten(bench: Bench) -> None:
    """Who takes it away, and puts it back once all is done, is seen by what was believed before."""
    bench.detector.step()
    bench.problem = ManifestError("/m: cannot be read: No such file or directory")
    bench.pass_time(901)
    assert [bench.last.fields[name] for name in ("state", "manifest")] == ["unverified", ""]
    bench.image.changes = [modified("/etc/motd")]
    bench.touch("/etc/motd")
    assert bench.items() == [("file", "/etc/motd", "modified")]
    bench.image.changes = []
    bench.touch("/etc/motd")
    bench.problem = None
    bench.pass_time(61)
    assert bench.items() == [("file", "/etc/motd", "reverted")]
    assert [bench.last.fields[name] for name in ("state", "manifest")] == ["drifted", bench.image.digest]


def test_the_seal_waits_for_cloud_init(bench: Bench) -> None:
    cloud = Path(bench.config.image.root) / "etc/cloud"
    cloud.mkdir(parents=True)
    (cloud / "cloud.cfg").write_text("")
    bench.image.changes = [modified("/etc/motd"), KEY]
    bench.detector.step()
    assert bench.last.fields["sealed"] == 0
    assert bench.last.fields["added"] == 0
    bench.image.changes = [KEY]
    bench.touch("/etc/motd")
    assert bench.last.fields["reverted"] == 0, "what is put right before the seal is not latched"
    result = Path(bench.config.image.root) / "run/cloud-init/result.json"
    result.parent.mkdir(parents=True)
    result.write_text("{}")
    bench.pass_time(1)
    assert bench.last.fields["sealed"] == bench.clock.time_ns()
    assert str(bench.last.fields["seal"]).startswith("1:sha256:")
    assert bench.last.fields["state"] == "clean"


def test_the_seal_waits_at_most_settle(bench: Bench) -> None:
    cloud = Path(bench.config.image.root) / "usr/bin/cloud-init"
    cloud.parent.mkdir(parents=True)
    cloud.write_text("")
    bench.detector.step()
    bench.pass_time(599)
    assert bench.last.fields["sealed"] == 0
    bench.pass_time(2)
    assert bench.last.fields["sealed"] != 0


def test_the_seal_waits_for_what_cannot_be_read_yet(bench: Bench) -> None:
    bench.image.unreadable = [Unreadable("file", KEY.key, "input/output error")]
    bench.detector.step()
    bench.pass_time(5)
    assert (bench.last.fields["sealed"], bench.last.fields["state"]) == (0, "unverified")
    bench.image.unreadable, bench.image.changes = [], [KEY]
    bench.pass_time(5)
    assert (bench.last.fields["sealed"] != 0, bench.last.fields["state"]) == (True, "clean")


def test_what_cannot_be_read_at_all_holds_the_seal_up_no_longer_than_settle(bench: Bench) -> None:
    bench.image.unreadable = [Unreadable("file", "/etc/other", "input/output error")]
    bench.detector.step()
    bench.pass_time(590)
    assert bench.last.fields["sealed"] == 0
    bench.pass_time(20)
    assert (bench.last.fields["sealed"] != 0, bench.last.fields["state"]) == (True, "unverified")


def test_a_sealed_item_that_changes_later_is_drift_and_the_seal_stays(bench: Bench) -> None:
    bench.image.changes = [KEY]
    bench.detector.step()
    seal, sealed = bench.last.fields["seal"], bench.last.fields["sealed"]
    bench.restart("boot-2")
    bench.image.changes = [replace(KEY, actual={"sha256": "second"})]
    bench.detector.step()
    assert bench.items() == [("file", KEY.key, "modified")]
    assert (bench.last.fields["seal"], bench.last.fields["sealed"]) == (seal, sealed)


def test_a_sealed_item_that_is_deleted_is_drift_by_hint_and_by_scan(bench: Bench) -> None:
    bench.image.changes = [KEY]
    bench.detector.step()
    bench.image.changes = []
    bench.touch(KEY.key)
    assert bench.items() == [("file", KEY.key, "removed")]
    bench.pass_time(900)
    assert bench.items() == [("file", KEY.key, "removed")]


def test_the_last_word_is_the_last(bench: Bench) -> None:
    bench.detector.step()
    bench.detector.last_word("stopped")
    bench.pass_time(120)
    assert bench.last.fields["state"] == "stopped"


def test_once_looks_and_says_and_ends(bench: Bench) -> None:
    bench.image.changes = [modified("/etc/motd")]
    bench.detector._running = False
    assert bench.detector.once() == "drifted"
    assert not bench.watcher.started


def test_run_ends_promptly_in_mid_scan_and_leaves_no_thread(bench: Bench) -> None:
    before = set(threading.enumerate())
    stop, scanning = Event(), Event()
    bench.detector.close()
    bench.start(threaded=True)

    def wait_to_be_stopped() -> None:
        scanning.set()
        bench.detector._scanner._stop.wait(PATIENCE)  # as a scan that looks whether it was stopped
        raise ScanStopped

    bench.image.during_scan = wait_to_be_stopped
    thread = Thread(target=bench.detector.run, args=(stop,))
    thread.start()
    assert scanning.wait(PATIENCE)
    stop.set()
    bench.detector.wake()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert bench.watcher.stopped
    assert bench.last.fields["state"] == "pending"
    assert set(threading.enumerate()) <= before


def test_a_watcher_that_cannot_watch_is_degraded(bench: Bench) -> None:
    bench.watcher.problem = "inotify watch limit reached"
    bench.detector.step()
    assert bench.last.fields["degraded"] == 1
    assert bench.last.fields["state"] == "clean"


def test_items_beyond_those_that_are_kept_are_counted_and_make_nothing_look_put_right(bench: Bench) -> None:
    """What falls off the end of the list may still differ."""
    bench.detector.step()
    bench.image.changes = [modified(f"/usr/bin/{number:04}") for number in range(MAX_ITEMS + 1)]
    bench.image.omitted = {"added": 30, "modified": 4}
    bench.pass_time(900)
    assert (bench.last.fields["modified"], bench.last.fields["added"]) == (MAX_ITEMS + 5, 30)
    assert bench.items()[-1] == ("rest", "35 more items", "modified")
    assert bench.log == ["34 items differ beyond the 1001 that are kept"]
    bench.image.changes[:1] = [modified("/etc/motd")]
    bench.pass_time(900)
    assert (bench.last.fields["modified"], bench.last.fields["reverted"]) == (MAX_ITEMS + 6, 0)
    bench.image.changes[1:] = []
    bench.image.omitted = {}
    bench.pass_time(900)
    assert (bench.last.fields["modified"], bench.last.fields["reverted"]) == (1, MAX_ITEMS + 1)


def test_only_trouble_is_logged_as_trouble(bench: Bench) -> None:
    """A machine that is well has no warning in its log; watching that comes back is no trouble."""
    bench.detector.step()
    assert (bench.log, bench.informed) == ([], ["first boot is over: sealed 0 of this instance's items"])
    bench.watcher.problem = "inotify watch limit reached"
    bench.pass_time(1)
    assert bench.log == ["changes are found by the scans alone: inotify watch limit reached"]
    bench.watcher.problem = ""
    bench.pass_time(1)
    assert len(bench.log) == 1
    assert bench.informed[1:] == ["changes are found as they happen"]


def listening(port: int, unit: str = "ssh.service") -> Change:
    return Change("socket", f"tcp 0.0.0.0:{port}", "added", "sealed", "high", actual={"uid": 0, "unit": unit})


def test_sockets_that_stood_at_the_seal_may_stand_and_stop_and_no_other(bench: Bench) -> None:
    bench.image.running = [listening(22), listening(443, "nginx.service")]
    bench.detector.step()
    assert bench.last.fields["state"] == "clean"
    bench.image.running = [listening(22)]
    bench.pass_time(61)
    assert bench.last.fields["state"] == "clean"
    bench.image.running = [listening(22), listening(4444, "session-*.scope")]
    bench.pass_time(61)
    assert bench.items() == [("socket", "tcp 0.0.0.0:4444", "added")]
    bench.image.running = [listening(22)]
    bench.pass_time(61)
    assert bench.items() == [("socket", "tcp 0.0.0.0:4444", "reverted")]


def test_another_owner_of_a_sealed_port_is_drift(bench: Bench) -> None:
    bench.image.running = [listening(22)]
    bench.detector.step()
    bench.image.running = [listening(22, "session-*.scope")]
    bench.pass_time(61)
    assert bench.items() == [("socket", "tcp 0.0.0.0:22", "modified")]


def test_a_fact_that_cannot_be_read_puts_nothing_right(bench: Bench) -> None:
    bench.image.running = [Change("module", "rootkit", "added", actual={"loaded": True})]
    bench.detector.step()
    bench.image.running, bench.image.not_running = [], [Unreadable("module", "/proc/modules", "Permission denied")]
    bench.pass_time(61)
    assert bench.items() == [("module", "rootkit", "added")]
    assert bench.last.fields["unreadable"] == 1
    bench.image.not_running = []
    bench.pass_time(61)
    assert bench.items() == [("module", "rootkit", "reverted")]
    assert bench.last.fields["unreadable"] == 0


def test_a_look_at_files_leaves_what_runs_alone(bench: Bench) -> None:
    bench.image.running = [Change("module", "rootkit", "added", actual={"loaded": True})]
    bench.detector.step()
    bench.image.changes = [modified("/etc/motd")]
    bench.touch("/etc/motd")
    assert sorted(bench.items()) == [("file", "/etc/motd", "modified"), ("module", "rootkit", "added")]


def test_a_login_taints_for_good(bench: Bench) -> None:
    bench.image.kinds = ("file", "user")
    log = Path(bench.config.image.root) / "var/log/auth.log"
    log.parent.mkdir(parents=True)
    log.write_text("2099-01-01T00:00:00Z web sshd[7]: Accepted publickey for eve from 198.51.100.1 port 5 ssh2\n")
    bench.detector._running = False
    assert bench.detector.once() == "tainted"
    assert bench.last.fields["logins"] == 1
    assert bench.items() == [("login", "eve@198.51.100.1", "added")]
    log.unlink()
    bench.restart("boot-2")
    bench.detector._running = False
    assert bench.detector.once() == "tainted"
    assert bench.items() == [("login", "eve@198.51.100.1", "added")]


def test_drift_leads_over_a_login(bench: Bench) -> None:
    bench.detector._knowledge.take_in_logins([Change("login", "eve@tty1", "added")], 1)
    bench.image.changes = [modified("/etc/motd")]
    bench.detector.step()
    assert bench.last.fields["state"] == "drifted"
    assert (bench.last.fields["logins"], bench.last.fields["added"]) == (1, 0)


def test_the_last_word_still_names_the_manifest(bench: Bench) -> None:
    stop = Event()
    stop.set()
    bench.detector.step()
    bench.detector.run(stop)
    bench.detector.last_word("stopped")
    assert bench.last.fields["manifest"] == bench.last.fields["observed"] == "1:sha256:image"
    assert bench.last.fields["policy"] == "1:sha256:policy"


def test_a_baked_identity_is_listed_and_leaves_the_instance_clean(bench: Bench) -> None:
    bench.image.shared = [Change("identity", "/etc/machine-id", "modified", "sealed", "high")]
    bench.detector.step()
    assert bench.items() == [("identity", "/etc/machine-id", "modified")]
    assert (bench.last.fields["state"], bench.last.fields["modified"]) == ("clean", 0)
    assert "/etc/machine-id" in bench.log[-1]
