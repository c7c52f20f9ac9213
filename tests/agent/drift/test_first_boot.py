"""When first boot is over."""

import time
from pathlib import Path

import pytest

from drift_agent.drift.first_boot import booted_at, cloud_init_is_done, is_over


def test_an_image_without_cloud_init_does_not_wait_for_it(tmp_path: Path) -> None:
    assert cloud_init_is_done(str(tmp_path))


@pytest.mark.parametrize("installed", ["usr/bin/cloud-init", "etc/cloud/cloud.cfg"])
@pytest.mark.parametrize(
    "done", ["run/cloud-init/result.json", "run/cloud-init/disabled", "etc/cloud/cloud-init.disabled"]
)
def test_cloud_init_is_waited_for_until_its_result_stands(tmp_path: Path, installed: str, done: str) -> None:
    for path in (installed, done):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / installed).touch()
    assert not cloud_init_is_done(str(tmp_path))
    (tmp_path / done).touch()
    assert cloud_init_is_done(str(tmp_path))


def test_the_running_machine_has_started_its_services() -> None:
    assert not is_over("/", lambda: "starting")
    assert is_over("/", lambda: "degraded")


def test_another_root_has_no_systemd(tmp_path: Path) -> None:
    assert is_over(str(tmp_path), lambda: "starting")


def test_the_boot_lies_behind() -> None:
    now = time.time_ns()
    assert 0 < booted_at(now) < now
