"""Image, watcher and detector together, on a real tree: what changes is said, soon."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest

from detectors import IDENTITY, make_detector, newest_set, said
from drift_agent.clock import SystemClock
from drift_agent.config import AgentOptions, Config, ImageOptions, OutputOptions, SpoolOptions
from drift_agent.drift import check_paths
from drift_agent.drift.comparison import open_comparison
from drift_agent.image.bake import bake
from drift_agent.image.policy import Policy, Rule
from drift_agent.model import Point
from drift_agent.recorder import Recorder
from drift_agent.ship.spool import Spool
from waiting import PATIENCE

PROMISED_SECONDS = 0.5
"""Within which a change is in the spool; a machine that has other things to do may take some times as long."""

STATUS = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n\n"


class Machine:
    """A root tree baked as an image, and a detector that runs on it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        for name in ("etc/cron.d", "usr/bin", "opt/app", "var/lib/dpkg"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "var/lib/dpkg/status").write_text(STATUS)
        (self.root / "etc/motd").write_text("hello\n")
        (self.root / "usr/bin/tool").write_text("#!/bin/sh\n")
        manifest = folder / "manifest.jsonl"
        policy = Policy.of([Rule("/var/lib/dpkg/**", "ignored")])
        bake(str(self.root), "web", "1", policy, str(manifest))
        self.state = folder / "state"
        self.state.mkdir()
        self.config = Config(
            agent=AgentOptions(state_dir=str(self.state)),
            image=ImageOptions(root=str(self.root), manifest=str(manifest), scan_interval=3600.0),
        )
        self.points: list[tuple[float, Point]] = []
        self.log: list[str] = []
        self.before: Callable[[Sequence[Point]], object] = lambda _: None
        self.start()

    def start(self) -> None:
        self.detector = make_detector(
            self.config,
            lambda: open_comparison(self.config, self.state),
            SystemClock(),
            self.emit,
            self.log.append,
            executor=ThreadPoolExecutor(1),  # the agent's own gives way to whatever else this machine does
        )
        self.stop = Event()
        self.thread = Thread(target=self.detector.run, args=(self.stop,))
        self.thread.start()
        self.wait_for(lambda: self.last("state") != "pending", "the first scan")

    def end(self) -> None:
        """Stops the detector, whatever it is at."""
        self.stop.set()
        self.detector.wake()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        self.detector.last_word("stopped")
        self.detector.close()

    def emit(self, points: Sequence[Point]) -> None:
        self.before(points)
        self.points += [(time.monotonic(), point) for point in points]

    def last(self, name: str) -> object:
        found = said(point for _, point in self.points)
        return found[-1].fields[name] if found else "pending"

    def items(self) -> set[tuple[object, object]]:
        found = newest_set(point for _, point in self.points)
        return {(point.fields["key"], point.tags["change"]) for point in found}

    def item_times(self, since: int) -> list[float]:
        """When the items behind the first `since` points were there."""
        return [at for at, point in self.points[since:] if point.measurement == "drift_item"]

    def wait_for(self, holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.items()}, {self.log}"
            time.sleep(0.005)

    def wait_for_items(self, *items: tuple[str, str]) -> None:
        self.wait_for(lambda: self.items() == set(items), str(items))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    if made.thread.is_alive():
        made.end()


def test_an_untouched_tree_is_clean_and_sealed(machine: Machine) -> None:
    assert machine.last("state") == "clean"
    assert machine.last("observed") == machine.last("manifest") != ""
    assert machine.last("degraded") == 0
    assert machine.last("sealed") != 0


def test_changed_added_and_removed_files_are_found_as_they_happen(machine: Machine) -> None:
    (machine.root / "etc/motd").write_text("changed\n")
    (machine.root / "etc/cron.d/job").write_text("* * * * * root true\n")
    (machine.root / "usr/bin/tool").unlink()
    machine.wait_for_items(("/etc/motd", "modified"), ("/etc/cron.d/job", "added"), ("/usr/bin/tool", "removed"))
    assert machine.last("state") == "drifted"


def test_a_folder_that_moves_is_found_with_what_it_holds(machine: Machine) -> None:
    (machine.root / "opt/app/a").write_text("a")
    machine.wait_for_items(("/opt/app/a", "added"))
    os.rename(machine.root / "opt/app", machine.root / "etc/app")
    machine.wait_for_items(
        ("/opt/app", "removed"), ("/opt/app/a", "reverted"), ("/etc/app", "added"), ("/etc/app/a", "added")
    )


def test_a_folder_that_came_and_left_is_reverted_with_what_it_held(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "kit/tools").mkdir(parents=True)
    (tmp_path / "kit/tools/x").write_text("x")
    os.rename(tmp_path / "kit", machine.root / "opt/kit")
    held = ["/opt/kit", "/opt/kit/tools", "/opt/kit/tools/x"]
    machine.wait_for_items(*((path, "added") for path in held))
    os.rename(machine.root / "opt/kit", tmp_path / "kit")
    machine.wait_for_items(*((path, "reverted") for path in held))


def test_what_is_put_back_is_reverted_after_a_restart_too(machine: Machine) -> None:
    (machine.root / "etc/cron.d/job").write_text("x")
    machine.wait_for_items(("/etc/cron.d/job", "added"))
    (machine.root / "etc/cron.d/job").unlink()
    machine.wait_for_items(("/etc/cron.d/job", "reverted"))
    machine.end()
    machine.points.clear()
    machine.start()
    assert machine.items() == {("/etc/cron.d/job", "reverted")}


def test_its_word_at_the_end_is_the_last(machine: Machine) -> None:
    machine.end()
    assert machine.last("state") == "stopped"


def test_a_huge_file_blinds_it_to_nothing(machine: Machine) -> None:
    """Which takes minutes to read: what is found, and ends, while it is read does not wait for it."""
    with (machine.root / "opt/app/huge").open("w") as file:
        file.truncate(300 << 30)
    machine.wait_for_items(("/opt/app/huge", "added"))
    machine.detector._schedule.rescan(0.0)
    machine.detector.wake()
    machine.wait_for(lambda: machine.detector._scanner.busy, "a scan that reads the file")
    (machine.root / "etc/motd").write_text("changed\n")
    machine.wait_for_items(("/opt/app/huge", "added"), ("/etc/motd", "modified"))
    assert machine.detector._scanner.busy
    machine.end()


def test_a_large_file_is_read_by_a_scan_that_comes_soon(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_paths, "MOST_BYTES", 4)
    (machine.root / "usr/bin/tool").write_text("#!/bin/no\n")
    machine.wait_for_items(("/usr/bin/tool", "modified"))
    assert "sha256" in str([point for _, point in machine.points if point.measurement == "drift_item"][-1].fields)
    (machine.root / "usr/bin/tool").write_text("#!/bin/sh\n")
    machine.detector._schedule.rescan(0.0)
    machine.detector.wake()
    machine.wait_for_items(("/usr/bin/tool", "reverted"))


def test_a_root_that_is_deleted_and_made_again_is_found(machine: Machine) -> None:
    shutil.rmtree(machine.root / "opt")
    machine.wait_for_items(("/opt", "removed"), ("/opt/app", "removed"))
    (machine.root / "opt/app").mkdir(parents=True)
    (machine.root / "opt/app/x").write_text("x")
    machine.wait_for_items(("/opt", "reverted"), ("/opt/app", "reverted"), ("/opt/app/x", "added"))


def test_a_manifest_that_is_taken_away_is_unverified(tmp_path: Path, machine: Machine) -> None:
    machine.end()
    (tmp_path / "manifest.jsonl").unlink()
    machine.points.clear()
    machine.start()
    assert machine.last("state") == "unverified"


@pytest.mark.usefixtures("unhurried")
def test_a_manifest_that_is_edited_after_the_seal_is_drift(tmp_path: Path, machine: Machine) -> None:
    """Its header's digest says nothing of sealed items, nor of the hostname: who edits those must be seen too."""
    path = tmp_path / "manifest.jsonl"
    edited = path.read_bytes().replace(b'"hostname":""', b'"hostname":"x"')
    machine.end()
    path.write_bytes(edited)
    machine.start()
    machine.wait_for_items((str(path), "modified"))
    assert machine.last("observed") == machine.last("manifest") != ""
    assert machine.last("state") == "drifted"


def test_a_change_is_in_the_spool_as_soon_as_it_happens(machine: Machine, tmp_path: Path) -> None:
    """One write after the other, with no scan and no report due for minutes; `benchmarks/detect.py` has the figures."""
    outputs = [OutputOptions(url="http://127.0.0.1:9")]
    spool = Spool.open(str(tmp_path / "spool.db"), SpoolOptions(), outputs, SystemClock())
    recorder = Recorder(spool.put, {})
    recorder.identify(IDENTITY)
    machine.before = lambda points: recorder.record("drift", points)
    machine.detector._announcer._reporter._bucket._refill = 0.01
    scanned = machine.last("scan_at")
    took = []
    for number in range(10):
        before = len(machine.points)
        began = time.monotonic()
        (machine.root / "etc/motd").write_text(f"{number}\n")
        machine.wait_for(lambda before=before: bool(machine.item_times(before)), "an item")  # type: ignore[misc]
        took.append(machine.item_times(before)[0] - began)
    machine.before = lambda _: None
    spool.close()
    assert machine.last("scan_at") == scanned, "a hint that waits for a scan is none"
    assert sorted(took)[5] < 10 * PROMISED_SECONDS


def test_a_package_that_is_installed_is_reported_as_it_happens(machine: Machine) -> None:
    """dpkg writes its status anew and puts it in the place of the old one; the file itself is not compared."""
    status = machine.root / "var/lib/dpkg/status"
    (status.parent / "status-new").write_text(STATUS + STATUS.replace("bash", "netcat"))
    (status.parent / "status-new").rename(status)
    machine.wait_for_items(("netcat:amd64", "added"))


@pytest.mark.slow
def test_a_burst_of_a_hundred_thousand_events_misses_nothing_and_is_gone_through(tmp_path: Path) -> None:
    """In 10,000 watched folders, written by another process; what no hint tells of the rescan finds.

    What it costs is measured in benchmarks/burst.py.
    """
    folders = [tmp_path / "root/srv" / f"{number // 100}" / f"{number % 100}" for number in range(10_000)]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "file").write_text("as baked")
    machine = Machine(tmp_path)
    try:
        burst = (
            "import os, sys\n"
            "for turn in range(3):\n"
            "    for number in range(10_000):\n"
            "        path = f'{sys.argv[1]}/{number // 100}/{number % 100}/file'\n"
            "        with open(path, 'w') as file: file.write('as baked')\n"  # modify, close
            "        os.utime(path)\n"  # attributes
            "for number in range(0, 10_000, 1000):\n"
            "    open(f'{sys.argv[1]}/{number // 100}/{number % 100}/left', 'w').close()\n"
        )
        subprocess.run([sys.executable, "-c", burst, str(tmp_path / "root/srv")], check=True)
        left = {(f"/srv/{number // 100}/{number % 100}/left", "added") for number in range(0, 10_000, 1000)}
        machine.wait_for(lambda: left <= machine.items(), "everything that was left behind", seconds=120.0)
        machine.wait_for(lambda: machine.last("degraded") == 0, "hints are whole again", seconds=120.0)
        assert {key for key, change in machine.items() if change == "added"} == {key for key, _ in left}
        (tmp_path / "root/srv/0/0/after").touch()
        machine.wait_for(lambda: ("/srv/0/0/after", "added") in machine.items(), "hints after the burst", seconds=60.0)
    finally:
        machine.end()
