"""When first boot is over: cloud-init and systemd are asked, and waited for no longer than is said."""

from pathlib import Path

import pytest

from drift_agent.drift import first_boot
from drift_agent.drift.first_boot import LOOK_SECONDS, FirstBoot, cloud_init_is_done, systemd_state
from fakes import FakeClock
from trees import Tree, make_tree

SETTLE = 600.0
WITH_CLOUD_INIT: Tree = {"usr/bin/cloud-init": "#!/bin/sh", "etc/cloud/cloud.cfg": ""}


class Desk:
    """First boot of the running machine, whose systemd says `state`; `asked` counts how often it did."""

    def __init__(self, root: str = "/", *, over: bool = False) -> None:
        self.clock = FakeClock()
        self.state = "starting"
        self.asked = 0
        self.first_boot = FirstBoot(root, SETTLE, self.clock, over=over, system_state=self._state)

    def _state(self) -> str:
        self.asked += 1
        return self.state

    def is_over_in_a_while(self) -> bool:
        self.clock.advance(LOOK_SECONDS)
        return self.first_boot.is_over()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> None:
    """cloud-init of this machine, whatever it has, is done."""
    monkeypatch.setattr(first_boot, "cloud_init_is_done", lambda _: True)


@pytest.mark.usefixtures("done")
@pytest.mark.parametrize(
    ("state", "over"),
    [("initializing", False), ("starting", False), ("running", True), ("degraded", True), ("", True)],
)
def test_it_waits_for_systemd_to_start_what_it_was_to_start(state: str, *, over: bool) -> None:
    desk = Desk()
    desk.state = state
    assert desk.first_boot.is_over() == over


@pytest.mark.usefixtures("done")
def test_once_it_is_over_it_stays_so_and_nobody_is_asked_any_more() -> None:
    desk = Desk()
    assert not desk.first_boot.is_over()
    desk.state = "running"
    assert desk.is_over_in_a_while()
    desk.state = "starting"
    assert desk.is_over_in_a_while()
    assert desk.asked == 2
    known = Desk(over=True)
    assert known.first_boot.is_over()
    assert known.asked == 0


@pytest.mark.usefixtures("done")
def test_systemd_is_asked_once_a_second_however_often_somebody_wants_to_know() -> None:
    desk = Desk()
    for _ in range(10):
        assert not desk.first_boot.is_over()
    assert desk.asked == 1
    assert not desk.is_over_in_a_while()
    assert desk.asked == 2


def test_neither_is_waited_for_longer_than_settle(tmp_path: Path) -> None:
    desk = Desk(str(make_tree(tmp_path / "root", WITH_CLOUD_INIT)))
    desk.clock.advance(SETTLE - 0.5)
    assert not desk.first_boot.is_over()
    assert not desk.first_boot.is_late()
    desk.clock.advance(LOOK_SECONDS)
    assert desk.first_boot.is_late()
    assert desk.first_boot.is_over()


def test_under_another_root_no_systemd_is_asked(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "root", WITH_CLOUD_INIT)
    desk = Desk(str(root))
    assert not desk.first_boot.is_over()
    make_tree(root, {"run/cloud-init/result.json": "{}"})
    assert desk.is_over_in_a_while()
    assert desk.asked == 0


@pytest.mark.parametrize(
    ("tree", "is_done"),
    [
        ({}, True),
        (WITH_CLOUD_INIT, False),
        ({"usr/bin/cloud-init": ""}, False),
        ({"etc/cloud/cloud.cfg": ""}, False),
        ({**WITH_CLOUD_INIT, "run/cloud-init/status.json": ""}, False),
        ({**WITH_CLOUD_INIT, "run/cloud-init/result.json": ""}, True),
        ({**WITH_CLOUD_INIT, "run/cloud-init/disabled": ""}, True),
        ({**WITH_CLOUD_INIT, "etc/cloud/cloud-init.disabled": ""}, True),
    ],
)
def test_cloud_init_is_done_with_its_result_or_where_it_is_not_there_or_turned_off(
    tmp_path: Path, tree: Tree, *, is_done: bool
) -> None:
    assert cloud_init_is_done(str(make_tree(tmp_path / "root", tree))) == is_done


@pytest.mark.parametrize(
    ("script", "state"), [("echo starting; exit 1", "starting"), ("echo running", "running"), ("exec sleep 99", "")]
)
def test_systemd_says_its_state_or_nothing_where_it_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, state: str
) -> None:
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("os.path.isdir", lambda _: True)
    if not state:
        monkeypatch.setattr(first_boot, "STATE_SECONDS", 0.05)
    assert systemd_state() == state


def test_where_there_is_no_systemd_it_has_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert systemd_state() == ""
    monkeypatch.setattr("os.path.isdir", lambda _: True)
    assert systemd_state() == ""
