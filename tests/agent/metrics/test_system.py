"""system: load, users and uptime, said as Telegraf says them."""

import psutil
import pytest

import host_trees
from drift_agent.metrics.system import Processors, format_uptime


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, " 0:00"),
        (5340, " 1:29"),
        (86400, "1 day,  0:00"),
        (14 * 86400 + 11 * 3600 + 7 * 60 + 59, "14 days, 11:07"),
    ],
)
def test_uptime_pads_the_hour(seconds: int, text: str) -> None:
    assert format_uptime(seconds) == text


def test_without_utmp_users_are_absent_and_not_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drift_agent.metrics.system.UTMP", ("/nowhere",))
    (point,) = host_trees.gather(host_trees.make("system"))
    assert "n_users" not in point.fields
    monkeypatch.setattr("drift_agent.metrics.system.UTMP", ("/",))
    (point,) = host_trees.gather(host_trees.make("system"))
    assert point.fields["n_users"] == len(psutil.users())


def test_cores_are_counted_anew_when_processors_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    processors = Processors()
    for count in (4, 8):
        monkeypatch.setattr(psutil, "cpu_count", lambda logical=True, count=count: count if logical else count // 2)
        assert processors.read() == {"n_cpus": count, "n_physical_cpus": count // 2}


def test_elsewhere_than_on_linux_it_is_psutils(monkeypatch: pytest.MonkeyPatch) -> None:
    (linux,) = host_trees.gather(host_trees.make("system"))
    monkeypatch.setattr(psutil, "LINUX", False)
    (portable,) = host_trees.gather(host_trees.make("system"))
    assert abs(int(portable.fields["uptime"]) - int(linux.fields["uptime"])) <= 3
    assert {"load1", "load5", "load15", "n_cpus", "uptime_format"} <= set(portable.fields)
