"""Hints on a real file system: everything that happens is marked, or its loss is said."""

import ctypes
import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drift_agent.drift.dirty import DirtySet

if sys.platform != "linux":
    pytest.skip("inotify is Linux's", allow_module_level=True)

from watchdog.observers.inotify_c import inotify_add_watch

from drift_agent.drift.inotify import InotifyWatcher
from waiting import PATIENCE

WATCHED = ("/etc", "/opt", "/var/spool/cron")


class Marks:
    """A watcher of `root`, and everything that it marked so far."""

    def __init__(self, root: Path, ignored: Callable[[str], bool]) -> None:
        self.root = root
        self.seen: set[str] = set()
        self.everything = False
        self.dirty = DirtySet(lambda: None)
        self.watcher = InotifyWatcher(str(root), self.dirty, WATCHED, ignored)

    @property
    def watches(self) -> int:
        """How many folders are watched."""
        return len(self.watcher._folders._by_wd)

    def wait_for(self, *paths: str) -> None:
        self.wait_until(lambda: set(paths) <= self.seen, f"{paths}")

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            taken = self.dirty.take()
            self.seen |= taken.paths | taken.trees
            self.everything |= taken.everything
            if holds():
                return
            assert time.monotonic() < deadline, f"{what}: seen {sorted(self.seen)[:20]}"
            time.sleep(0.005)

    def forget(self) -> None:
        """Waits until what has happened so far is through, by an event of its own."""

        def is_through() -> bool:
            (self.root / "etc/.through").write_text("")
            return "/etc/.through" in self.seen

        self.wait_until(is_through, "an event of our own")
        self.seen.clear()
        self.everything = False


@contextmanager
def watching(root: Path, ignored: Callable[[str], bool] = lambda _: False) -> Iterator[Marks]:
    marks = Marks(root, ignored)
    marks.watcher.start()
    try:
        yield marks
    finally:
        marks.watcher.stop()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("etc/cron.d", "opt/app/lib", "var/spool", "home"):
        (tmp_path / "root" / folder).mkdir(parents=True)
    (tmp_path / "root/etc/motd").write_text("hello")
    return tmp_path / "root"


def test_every_way_to_change_a_file_is_marked(root: Path) -> None:
    with watching(root) as marks:
        (root / "etc/motd").write_text("changed")
        marks.wait_for("/etc/motd")
        marks.forget()
        (root / "etc/motd").chmod(0o600)
        marks.wait_for("/etc/motd")
        marks.forget()
        (root / "etc/motd.tmp").write_text("new")
        os.rename(root / "etc/motd.tmp", root / "etc/motd")
        marks.wait_for("/etc/motd", "/etc/motd.tmp")
        marks.forget()
        os.link(root / "etc/motd", root / "opt/app/hard")
        marks.wait_for("/opt/app/hard")
        marks.forget()
        (root / "etc/motd").unlink()
        marks.wait_for("/etc/motd")
        assert marks.watcher.problem == ""


def test_reading_marks_nothing(root: Path) -> None:
    with watching(root) as marks:
        (root / "etc/motd").read_text()
        list((root / "etc").iterdir())
        marks.forget()
        (root / "etc/motd").read_text()
        (root / "etc/cron.d/job").touch()
        marks.wait_for("/etc/cron.d/job")
        assert "/etc/motd" not in marks.seen


def test_only_watched_roots_and_what_leads_to_them(root: Path) -> None:
    with watching(root) as marks:
        (root / "home/file").touch()
        (root / "var/log").mkdir()
        (root / "var/log/syslog").touch()
        marks.forget()
        assert not {path for path in marks.seen if path.startswith(("/home/", "/var/log/"))}
        assert marks.watches == 8  # / var var/spool etc etc/cron.d opt opt/app opt/app/lib


def test_nothing_below_an_ignored_folder_is_watched(root: Path) -> None:
    with watching(root, ignored=lambda path: path == "/opt/app") as marks:
        (root / "opt/app/lib/x").touch()
        marks.forget()
        assert marks.watches == 6


def test_a_new_folder_is_watched_with_what_it_holds(root: Path) -> None:
    with watching(root) as marks:
        (root / "etc/a/b/c").mkdir(parents=True)
        marks.wait_for("/etc/a")
        marks.wait_until(lambda: marks.watches == 11, "the new folders are watched")
        (root / "etc/a/b/c/file").touch()
        marks.wait_for("/etc/a/b/c/file")


def test_a_folder_that_is_moved_reports_under_its_new_path(root: Path) -> None:
    with watching(root) as marks:
        os.rename(root / "opt/app", root / "etc/moved")
        marks.wait_for("/opt/app", "/etc/moved")
        marks.forget()
        (root / "etc/moved/lib/x").touch()
        marks.wait_for("/etc/moved/lib/x")
        assert not {path for path in marks.seen if path.startswith("/opt/app")}


def test_both_of_two_folders_that_are_exchanged_report_on(root: Path) -> None:
    """The kernel tells that the one came in the other's place, and only then that the other went from there."""
    exchange = 2  # RENAME_EXCHANGE
    with watching(root) as marks:
        paths = os.fsencode(root / "etc/cron.d"), os.fsencode(root / "opt/app")
        assert ctypes.CDLL(None, use_errno=True).renameat2(-100, paths[0], -100, paths[1], exchange) == 0
        marks.wait_for("/etc/cron.d", "/opt/app")
        marks.forget()
        (root / "opt/app/job").touch()
        (root / "etc/cron.d/lib/x").touch()
        marks.wait_for("/opt/app/job", "/etc/cron.d/lib/x")
        assert marks.watches == 8


def test_a_folder_that_left_the_tree_reports_no_more(root: Path, tmp_path: Path) -> None:
    with watching(root) as marks:
        os.rename(root / "opt/app", tmp_path / "away")
        marks.wait_for("/opt/app")
        marks.wait_until(lambda: marks.watches == 6, "its watches are given back")
        marks.forget()
        (tmp_path / "away/lib/x").touch()
        marks.forget()
        assert not {path for path in marks.seen if "away" in path or path.startswith("/opt")}


def test_a_root_that_is_deleted_and_made_again_is_watched_again(root: Path) -> None:
    with watching(root) as marks:
        shutil.rmtree(root / "opt")
        marks.wait_for("/opt")
        (root / "opt/app").mkdir(parents=True)
        marks.wait_until(lambda: marks.watches == 7, "the new root is watched")
        marks.forget()
        (root / "opt/app/x").touch()
        marks.wait_for("/opt/app/x")


def test_a_root_that_is_made_later_is_watched(root: Path) -> None:
    with watching(root) as marks:
        (root / "var/spool/cron/crontabs").mkdir(parents=True)
        marks.wait_until(lambda: marks.watches == 10, "cron is watched")
        (root / "var/spool/cron/crontabs/root").touch()
        marks.wait_for("/var/spool/cron/crontabs/root")


def test_the_whole_tree_taken_away_is_said_and_made_up_for(root: Path) -> None:
    with watching(root) as marks:
        os.rename(root, f"{root}.away")
        marks.wait_until(lambda: marks.everything, "everything is to be looked at")
        assert "taken away" in marks.watcher.problem or "not there" in marks.watcher.problem
        os.rename(f"{root}.away", root)
        marks.watcher.scanned(time.monotonic())
        marks.wait_until(lambda: marks.watches == 8, "it is watched again")
        marks.forget()
        (root / "opt/app/x").touch()
        marks.wait_for("/opt/app/x")


def test_names_of_any_bytes_are_marked(root: Path) -> None:
    with watching(root) as marks:
        name = b"caf\xe9\nx"
        os.close(os.open(os.fsencode(root) + b"/etc/" + name, os.O_CREAT | os.O_WRONLY))
        marks.wait_for("/etc/" + os.fsdecode(name))


def test_links_are_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside/deep"
    outside.mkdir(parents=True)
    os.symlink(tmp_path / "outside", root / "etc/link")
    with watching(root) as marks:
        (outside / "x").touch()
        marks.forget()
        assert marks.watches == 8


def test_an_overflow_is_said_and_asks_for_everything(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, go_on = threading.Event(), threading.Event()
    read = os.read

    def read_late(descriptor: int, size: int) -> bytes:
        held.set()
        go_on.wait(10 * PATIENCE)
        return read(descriptor, size)

    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with watching(root) as marks:
        monkeypatch.setattr("os.read", read_late)
        (root / "etc/motd").touch()
        assert held.wait(PATIENCE)
        for number in range(limit // 2 + 10):  # each a create and a close, or an attribute and a close
            os.close(os.open(root / "opt" / f"f{number % 100}", os.O_CREAT | os.O_WRONLY))
            os.close(os.open(root / "etc" / f"f{number % 100}", os.O_CREAT | os.O_WRONLY))
        (root / "opt/unseen").mkdir()
        go_on.set()
        marks.wait_until(lambda: marks.everything, "everything is to be looked at")
        assert marks.watcher.problem == "hints were lost"
        marks.wait_until(lambda: "/opt/unseen" in marks.seen, "the folder behind the loss is found")
        marks.watcher.scanned(time.monotonic())
        assert marks.watcher.problem == ""


def test_exhausted_watches_are_said_and_tried_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = inotify_add_watch
    limited = True

    def add(queue: int, path: bytes, mask: int) -> int:
        if limited and path.endswith(b"/lib"):
            return -1
        return int(real(queue, path, mask))

    monkeypatch.setattr("drift_agent.drift.folders.inotify_add_watch", add)
    monkeypatch.setattr("drift_agent.drift.folders.get_errno", lambda: errno.ENOSPC)
    with watching(root) as marks:
        assert "max_user_watches" in marks.watcher.problem
        limited = False
        marks.watcher.scanned(time.monotonic())
        marks.wait_for("/opt/app/lib")
        marks.wait_until(lambda: marks.watcher.problem == "", "all is watched")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_fails_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with watching(root) as marks:

        def fail(_: bytes) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(marks.watcher, "_take", fail)
        (root / "etc/motd").touch()
        marks.wait_until(lambda: marks.everything, "everything is to be looked at")
        assert "failed" in marks.watcher.problem


def test_no_queue_to_be_had_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drift_agent.drift.inotify.inotify_init", lambda: -1)
    with watching(root) as marks:
        assert "max_user_instances" in marks.watcher.problem


def test_no_thread_and_no_descriptor_is_left(root: Path) -> None:
    threads, descriptors = set(threading.enumerate()), set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with watching(root):
            assert len(set(threading.enumerate()) - threads) == 1
    assert set(threading.enumerate()) <= threads
    assert set(os.listdir("/proc/self/fd")) <= descriptors
