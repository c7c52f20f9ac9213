"""All facts together, as the policy asks for them."""

from pathlib import Path

import pytest

from drift_agent.drift.runtime import FACTS, KINDS, gather
from drift_agent.drift.runtime.fact import Fact, Observation
from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import BAKED_KINDS, RULE_KINDS, Policy, Rule
from drift_agent.model import Change, Unreadable


def baked(folder: Path, kinds: tuple[str, ...], rules: tuple[Rule, ...] = ()) -> Manifest:
    (folder / "root").mkdir()
    bake(str(folder / "root"), "web", "", Policy.of(rules, kinds), str(folder / "manifest.jsonl"))
    return Manifest.open(str(folder / "manifest.jsonl"))


def test_no_kind_is_a_baked_one_and_each_has_a_companion_that_is() -> None:
    assert not KINDS & set(BAKED_KINDS)
    assert {fact.companion for fact in FACTS} <= set(BAKED_KINDS)
    assert set(RULE_KINDS) == KINDS | set(BAKED_KINDS)


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


def test_a_rule_of_a_runtime_kind_ignores_what_it_names_or_gives_it_class_and_severity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules travel in the header: what is asked is the manifest, read back from its file."""
    found = [Change("socket", f"tcp 0.0.0.0:{port}", "added", "sealed", "high") for port in (22, 8443, 9000)]
    unreadable = [Unreadable("socket", f"tcp 0.0.0.0:{port}", "hidden") for port in (23, 8443)]
    fact = Fact("socket", "service", lambda *_: Observation(found, unreadable))
    monkeypatch.setattr("drift_agent.drift.runtime.FACTS", (fact,))
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    rules = (
        Rule("tcp *:8443", "ignored", kind="socket"),
        Rule("tcp *:9000", "frozen", severity="low", kind="socket"),
    )
    with baked(tmp_path, BAKED_KINDS, rules) as manifest:
        observed = gather(manifest, str(tmp_path / "proc"))
    assert [(one.key, one.path_class, one.severity) for one in observed.changes] == [
        ("tcp 0.0.0.0:22", "sealed", "high"),
        ("tcp 0.0.0.0:9000", "frozen", "low"),
    ]
    assert [one.key for one in observed.unreadable] == ["tcp 0.0.0.0:23"]
