"""Running parameters against the baked ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from drift_agent.drift.runtime import sysctls
from drift_agent.model import Item


@dataclass
class Baked:
    """What of a manifest is asked for."""

    parameters: dict[str, str]

    def of_kind(self, kind: str) -> Iterator[Item]:
        return (Item(kind, key, {"value": value}) for key, value in self.parameters.items())


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sysctls, "is_container", lambda: False)
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "sys/net/ipv4/ip_forward").write_text("1\n")
    (tmp_path / "sys/net/ipv4/tcp_rmem").write_text("4096\t131072\t6291456\n")
    return tmp_path


def test_a_parameter_that_is_set_otherwise_is_drift(proc: Path) -> None:
    observed = sysctls.gather(Baked({"net.ipv4.ip_forward": "0"}), str(proc))  # type: ignore[arg-type]
    assert observed is not None
    change = observed.changes[0]
    assert (change.key, change.expected, change.actual) == ("net.ipv4.ip_forward", {"value": "0"}, {"value": "1"})


def test_blanks_do_not_count_and_what_the_kernel_lacks_is_no_drift(proc: Path) -> None:
    wanted = {"net.ipv4.tcp_rmem": "4096 131072  6291456", "kernel.missing": "1"}
    observed = sysctls.gather(Baked(wanted), str(proc))  # type: ignore[arg-type]
    assert observed is not None
    assert (observed.changes, observed.unreadable) == ([], [])


def test_a_number_may_be_written_in_any_base(proc: Path) -> None:
    (proc / "sys/kernel").mkdir()
    (proc / "sys/kernel/sysrq").write_text("438\n")
    observed = sysctls.gather(Baked({"kernel.sysrq": "0x01b6"}), str(proc))  # type: ignore[arg-type]
    assert observed is not None
    assert observed.changes == []


def test_a_containers_kernel_is_set_by_its_host(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysctls, "is_container", lambda: True)
    assert sysctls.gather(Baked({"net.ipv4.ip_forward": "0"}), str(proc)) is None  # type: ignore[arg-type]


def test_what_the_kernel_runs_is_sealed_where_the_image_leaves_it_open(proc: Path) -> None:
    (proc / "sys/kernel").mkdir()
    (proc / "sys/kernel/core_pattern").write_text("|/usr/bin/collect %p\n")
    (proc / "sys/kernel/modprobe").write_text("/sbin/modprobe\n")
    (proc / "sys/kernel/poweroff_cmd").write_text("/sbin/poweroff\n")
    observed = sysctls.gather(Baked({"kernel.modprobe": "/usr/sbin/modprobe"}), str(proc))  # type: ignore[arg-type]
    assert observed is not None
    assert {change.key: (change.change, change.path_class) for change in observed.changes} == {
        "kernel.core_pattern": ("added", "sealed"),
        "kernel.modprobe": ("modified", "frozen"),
    }
    assert observed.changes[1].actual == {"value": "|/usr/bin/collect %p"}
    assert "kernel.poweroff_cmd" not in {change.key for change in observed.changes}, "that is the kernel's own value"


def test_an_image_that_configures_none_says_nothing(proc: Path) -> None:
    assert sysctls.gather(Baked({}), str(proc)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("mode", "unreadable"), [(0o200, []), (0o600, ["net.ipv4.route.flush"])])
def test_what_nobody_may_read_has_no_value_and_what_others_may_is_unreadable(
    proc: Path, monkeypatch: pytest.MonkeyPatch, mode: int, unreadable: list[str]
) -> None:
    """A hardening guide's `net.ipv4.route.flush = 1` is a command; it left an instance unverified for good."""
    (proc / "sys/net/ipv4/route").mkdir()
    (proc / "sys/net/ipv4/route/flush").touch()
    (proc / "sys/net/ipv4/route/flush").chmod(mode)

    def refuse(path: str, _: int) -> str:
        raise PermissionError(13, "Permission denied") if path.endswith("flush") else FileNotFoundError

    monkeypatch.setattr(sysctls, "read_text", refuse)
    observed = sysctls.gather(Baked({"net.ipv4.route.flush": "1"}), str(proc))  # type: ignore[arg-type]
    assert observed is not None
    assert [one.key for one in observed.unreadable] == unreadable
    assert observed.changes == []


def test_a_name_cannot_lead_out_of_proc(proc: Path) -> None:
    assert sysctls.gather(Baked({"net/../../../etc/passwd": "x"}), str(proc)) is None  # type: ignore[arg-type]
