"""`terminated` is said only when the machine itself ends."""

import json
from collections.abc import Mapping
from pathlib import Path
from threading import Event

import pytest

from drift_agent.ending import cloud_notice, is_machine_ending, watch_cloud
from drift_agent.imds import Fetch, Session
from fakes import FakeClock


def metadata(answers: Mapping[str, str]) -> Session:
    return Session(fetching(answers), FakeClock().monotonic() + 5, FakeClock().monotonic)


def fetching(answers: Mapping[str, str]) -> Fetch:
    """The service of an instance whose paths answer so; a path that is not there is a 404."""

    def fetch(method: str, path: str, headers: Mapping[str, str], timeout: float) -> bytes | None:
        if method == "PUT":
            return b"token"
        assert headers["X-aws-ec2-metadata-token"] == "token"
        found = answers.get(path.removeprefix("/latest/meta-data/"))
        return found.encode() if found is not None else None

    return fetch


@pytest.mark.parametrize(
    ("jobs", "ends"),
    [
        ("1207 poweroff.target start waiting\n1208 systemd-poweroff.service start waiting\n", True),
        ("9 halt.target start waiting\n", True),
        ("7 reboot.target start waiting\n8 systemd-reboot.service start waiting\n", False),
        ("7 poweroff.target stop waiting\n", False),
        ("55 driftline-agent.service restart running\n", False),
        ("", False),
        ("poweroff.target\n", False),
    ],
)
def test_only_poweroff_and_halt_end_the_machine(jobs: str, ends: bool) -> None:
    assert is_machine_ending(jobs) is ends


@pytest.mark.parametrize(
    ("answers", "notice"),
    [
        ({}, ""),
        (
            {"spot/instance-action": json.dumps({"action": "terminate", "time": "2026-01-01T00:00:00Z"})},
            "Spot notice: terminate",
        ),
        ({"spot/instance-action": '{"action": "dance"}'}, ""),
        ({"spot/instance-action": "<html>"}, ""),
        ({"autoscaling/target-lifecycle-state": "InService"}, ""),
        ({"autoscaling/target-lifecycle-state": "Terminated"}, "Auto Scaling notice: Terminated"),
    ],
)
def test_a_notice_is_believed_only_in_its_own_words(answers: Mapping[str, str], notice: str) -> None:
    assert cloud_notice(metadata(answers)) == notice


def test_a_notice_is_passed_on_once_and_the_watch_ends(tmp_path: Path) -> None:
    vendor = tmp_path / "sys/class/dmi/id/sys_vendor"
    vendor.parent.mkdir(parents=True)
    vendor.write_text("Amazon EC2\n")
    heard: list[str] = []
    fetch = fetching({"autoscaling/target-lifecycle-state": "Terminated"})
    watch_cloud(Event(), heard.append, FakeClock(), fetch, str(tmp_path))
    assert heard == ["Auto Scaling notice: Terminated"]


def test_a_machine_that_is_no_ec2_instance_is_never_asked(tmp_path: Path) -> None:
    def fetch(method: str, path: str, headers: Mapping[str, str], timeout: float) -> bytes | None:
        raise AssertionError(f"asked for {path}")

    watch_cloud(Event(), lambda reason: None, FakeClock(), fetch, str(tmp_path))
