"""processes: each counted once, by its state."""

import subprocess
import sys

import psutil
import pytest

import host_trees
from waiting import wait_until


def test_every_process_of_a_tree_has_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    host_trees.read_from(monkeypatch, host_trees.TREES / "debian-12-vm/1")
    (point,) = host_trees.gather(host_trees.make("processes"))
    fields = point.fields
    assert (fields["total"], fields["zombies"], fields["blocked"], fields["running"]) == (9, 1, 1, 1)
    assert sum(int(fields[state]) for state in ("running", "sleeping", "blocked", "zombies", "idle")) == 9


def test_this_machines_processes_are_there() -> None:
    def are_all_there() -> bool:
        """At a moment when none comes or goes; on a busy machine that is not every moment."""
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE):
            (point,) = host_trees.gather(host_trees.make("processes"))
            return point.fields["total"] == len(psutil.pids())

    wait_until(are_all_there)
    (point,) = host_trees.gather(host_trees.make("processes"))
    assert int(point.fields["total_threads"]) >= int(point.fields["total"])


def test_elsewhere_than_on_linux_it_is_psutils(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "LINUX", False)
    (point,) = host_trees.gather(host_trees.make("processes"))
    assert set(point.fields) == {"blocked", "zombies", "stopped", "running", "sleeping", "unknown", "total", "idle"}
