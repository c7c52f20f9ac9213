"""The dirty set is debounced, bounded, and loses nothing but names."""

from threading import Event

import pytest

from drift_agent.drift.dirty import LONGEST_SECONDS, MAX_PATHS, QUIET_SECONDS, Dirty, DirtySet
from fakes import FakeClock


def test_it_ripens_when_nothing_came_in_for_a_while() -> None:
    clock, woken = FakeClock(), Event()
    dirty = DirtySet(woken.set, clock.monotonic)
    assert dirty.ripe_in() is None
    dirty.mark("/a")
    assert woken.is_set()
    assert dirty.ripe_in() == pytest.approx(QUIET_SECONDS)
    clock.advance(QUIET_SECONDS)
    assert dirty.ripe_in() == 0.0
    assert dirty.take().paths == {"/a"}
    assert dirty.ripe_in() is None


def test_a_busy_tree_cannot_put_it_off_for_ever() -> None:
    clock = FakeClock()
    dirty = DirtySet(lambda: None, clock.monotonic)
    waited = 0.0
    dirty.mark("/a")
    while dirty.ripe_in():
        clock.advance(0.01)
        waited += 0.01
        dirty.mark("/a")
    assert waited <= LONGEST_SECONDS + 0.011


def test_the_first_mark_wakes_and_no_other_until_the_set_is_taken() -> None:
    woken: list[None] = []
    dirty = DirtySet(lambda: woken.append(None))
    for count in (1, 2):
        dirty.mark("/a")
        dirty.mark("/b")
        dirty.mark_everything()
        assert len(woken) == count
        assert dirty.take().everything
    dirty.mark_everything()
    assert len(woken) == 3


def test_too_many_paths_are_everything() -> None:
    dirty = DirtySet(lambda: None)
    for number in range(MAX_PATHS + 10):
        dirty.mark(f"/{number}")
    taken = dirty.take()
    assert taken.everything
    assert not taken.paths
    dirty.mark("/a")
    assert dirty.take().paths == {"/a"}


def test_what_is_joined_is_bounded_too() -> None:
    half = MAX_PATHS // 2
    first = Dirty(frozenset(f"/a/{number}" for number in range(half)), frozenset(("/t",)))
    assert first.joined(Dirty(frozenset(("/b",)))) == Dirty(first.paths | {"/b"}, first.trees)
    assert first.joined(Dirty(frozenset(f"/b/{number}" for number in range(half)))) == Dirty(everything=True)
