"""mem and swap: sizes in bytes, shares not rounded."""

import psutil
import pytest

import host_trees


def test_what_a_kernel_lacks_is_zero_and_available_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    host_trees.read_from(monkeypatch, host_trees.TREES / "old-kernel/1")
    (point,) = host_trees.gather(host_trees.make("mem"))
    assert point.fields["available"] == (200_000 + 50_000 + 320_000) * 1024
    assert point.fields["vmalloc_total"] == 0


def test_used_is_what_is_not_available_and_the_cache_holds_reclaimable_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    host_trees.read_from(monkeypatch, host_trees.TREES / "nitro-container-host/0")
    (point,) = host_trees.gather(host_trees.make("mem"))
    assert point.fields["used"] == (7_890_124 - 4_512_344) * 1024
    assert point.fields["cached"] == (3_512_344 + 312_344) * 1024
    assert point.fields["huge_pages_total"] == 16


def test_what_went_through_swap_is_counted_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    host_trees.read_from(monkeypatch, host_trees.TREES / "nitro-container-host/0")
    (point,) = host_trees.gather(host_trees.make("swap"))
    assert (point.fields["in"], point.fields["out"]) == (10 * 4096, 266 * 4096)
    assert point.fields["used_percent"] == pytest.approx(100 * 1024 / 2_097_148)


def test_elsewhere_than_on_linux_both_are_psutils(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "LINUX", False)
    (mem,) = host_trees.gather(host_trees.make("mem"))
    assert mem.fields["total"] == psutil.virtual_memory().total
    (swap,) = host_trees.gather(host_trees.make("swap"))
    assert swap.fields["total"] == psutil.swap_memory().total
