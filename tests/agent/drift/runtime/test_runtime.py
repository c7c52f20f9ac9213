"""All facts together, as the policy asks for them."""

from pathlib import Path

import pytest

from drift_agent.drift.runtime import FACTS, KINDS, gather
from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import BAKED_KINDS, Policy


def baked(folder: Path, kinds: tuple[str, ...]) -> Manifest:
    (folder / "root").mkdir()
    bake(str(folder / "root"), "web", "", Policy.of((), kinds), str(folder / "manifest.jsonl"))
    return Manifest.open(str(folder / "manifest.jsonl"))


def test_no_kind_is_a_baked_one_and_each_has_a_companion_that_is() -> None:
    assert not KINDS & set(BAKED_KINDS)
    assert {fact.companion for fact in FACTS} <= set(BAKED_KINDS)


def test_a_fact_whose_companion_is_switched_off_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    with baked(tmp_path, ()) as manifest:
        observed = gather(manifest, str(tmp_path / "proc"))
    assert (observed.changes, observed.unreadable) == ([], [])


@pytest.mark.parametrize(
    ("folder", "unreadable"), [("proc/self", {"module", "running_sysctl", "socket"}), ("proc", set())]
)
def test_what_a_sandbox_hides_is_said_and_what_is_not_there_is_not(
    tmp_path: Path, folder: str, unreadable: frozenset[str]
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    with baked(tmp_path, BAKED_KINDS) as manifest:
        observed = gather(manifest, str(tmp_path / "proc"))
    assert {one.kind for one in observed.unreadable} == unreadable
