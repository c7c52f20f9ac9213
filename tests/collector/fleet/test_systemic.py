"""An item that most of an image's instances share is told apart from one that an intruder left."""

from collections.abc import Callable, Mapping, Sequence

from drift_collector.fleet.model import Fleet, Systemic
from drift_collector.fleet.systemic import MAX_SETS, with_missing, with_systemic
from drift_collector.fleet.verdict import judge
from drift_collector.store.base import DriftItem, DriftReport
from reports import NOW, drifted, item, report


def reader(sets: Mapping[str, Sequence[DriftItem]]) -> Callable[[DriftReport], Sequence[DriftItem]]:
    return lambda one: sets.get(one.instance, ())


def codes(fleet: Fleet) -> dict[str, list[str]]:
    return {verdict.instance: [reason.code for reason in verdict.reasons] for verdict in fleet.verdicts}


def test_an_item_on_half_of_an_image_is_systemic_and_changes_no_state() -> None:
    fleet = judge([drifted("i-1"), drifted("i-2"), report("i-3"), report("i-4")], NOW)
    found = with_systemic(fleet, reader({"i-1": [item("i-1")], "i-2": [item("i-2")]}))
    assert found.systemic == (Systemic("web@1.2", "file", "/etc/motd", "modified", 2, 4),)
    assert codes(found) == {"i-1": ["drifted", "systemic"], "i-2": ["drifted", "systemic"], "i-3": [], "i-4": []}
    assert found.summary() == fleet.summary()
    assert found.exit_code() == 2


def test_an_item_on_less_than_half_is_not() -> None:
    fleet = judge([drifted("i-1"), drifted("i-2"), *(report(f"i-{n}") for n in range(3, 6))], NOW)
    assert with_systemic(fleet, reader({"i-1": [item("i-1")], "i-2": [item("i-2")]})) == fleet


def test_one_of_two_instances_is_half_and_no_gap_of_the_bake() -> None:
    fleet = judge([drifted("i-1"), report("i-2")], NOW)
    assert with_systemic(fleet, reader({"i-1": [item("i-1")]})) == fleet


def test_different_items_on_most_instances_are_none() -> None:
    fleet = judge([drifted("i-1"), drifted("i-2")], NOW)
    assert with_systemic(fleet, reader({"i-1": [item("i-1", "/a")], "i-2": [item("i-2", "/b")]})) == fleet


def test_images_are_counted_apart_and_the_silent_not_at_all() -> None:
    reports = [drifted("i-1"), drifted("i-2"), drifted("i-3", image="db@1"), report("i-4", image="db@1")]
    fleet = judge(reports, NOW, expected={"i-1", "i-2", "i-3", "i-4", *(f"i-{n}" for n in range(5, 20))})
    sets = {f"i-{n}": [item(f"i-{n}")] for n in (1, 2, 3)}
    assert [(one.image, one.instances, one.of) for one in with_systemic(fleet, reader(sets)).systemic] == [
        ("web@1.2", 2, 2)
    ]


def test_what_an_instance_has_of_its_own_is_told_from_what_it_shares() -> None:
    fleet = judge([drifted("i-1"), drifted("i-2")], NOW)
    found = with_systemic(fleet, reader({"i-1": [item("i-1"), item("i-1", "/own")], "i-2": [item("i-2")]}))
    texts = {one.instance: one.reasons[-1].text for one in found.verdicts}
    assert texts["i-1"].startswith("1 of its 2 items are on")
    assert texts["i-2"].startswith("all its items are on")


def test_of_many_sets_some_are_read_and_the_estimate_says_so() -> None:
    many = 3 * MAX_SETS
    fleet = judge([drifted(f"i-{n}") for n in range(many)], NOW)
    read: list[str] = []

    def read_items(one: DriftReport) -> Sequence[DriftItem]:
        read.append(one.instance)
        return [item(one.instance)]

    found = with_systemic(fleet, read_items)
    assert len(read) == MAX_SETS
    assert found.systemic == (Systemic("web@1.2", "file", "/etc/motd", "modified", many, many, sampled=True),)


def test_a_count_of_unsent_items_is_no_item() -> None:
    fleet = judge([drifted("i-1"), drifted("i-2")], NOW)
    rest = [item(kind="rest", key="2 more items", actual={"count": 2})]
    assert with_systemic(fleet, reader({"i-1": rest, "i-2": rest})) == fleet


def test_a_clean_fleet_reads_no_items() -> None:
    def refuse(_: DriftReport) -> Sequence[DriftItem]:
        raise AssertionError

    fleet = judge([report("i-1"), report("i-2")], NOW)
    assert with_systemic(fleet, refuse) == fleet


def test_fewer_items_than_announced_is_a_note() -> None:
    (verdict,) = judge([drifted("i-1", modified=3)], NOW).verdicts
    assert with_missing(verdict, [item()] * 3) == verdict
    assert with_missing(verdict, [item(), item(kind="rest", actual={"count": 2})]) == verdict
    noted = with_missing(verdict, [item()])
    assert (noted.state, noted.reasons[-1].code) == ("drifted", "items-missing")
