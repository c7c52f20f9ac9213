"""The ledger: what is open, what was put back, and that nothing is forgotten."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.ledger import MAX_REVERTED, Ledger, advance, is_empty
from drift_agent.model import Change, Key

LOOKS = st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy")), max_size=6)


def found(look: Mapping[str, str]) -> dict[Key, Change]:
    return {("file", key): Change("file", key, "modified", actual={"sha256": value}) for key, value in look.items()}


@given(LOOKS)
def test_latched_what_was_ever_seen_is_open_or_reverted_and_never_both(looks: list[dict[str, str]]) -> None:
    ledger = Ledger()
    ever: dict[Key, int] = {}
    for now, look in enumerate(looks, 1):
        ledger, _ = advance(ledger, found(look), lambda _: True, now, latch=True)
        ever |= {("file", key): ever.get(("file", key), now) for key in look}
        assert set(ledger.open) == set(found(look))
        assert set(ledger.open) | set(ledger.reverted) == set(ever)
        assert not set(ledger.open) & set(ledger.reverted)
        assert {key: change.first_seen for key, change in (*ledger.open.items(), *ledger.reverted.items())} == ever


@given(LOOKS)
def test_what_is_written_rebuilds_the_ledger(looks: list[dict[str, str]]) -> None:
    ledger = Ledger()
    stored: dict[str, dict[Key, Change]] = {"open": {}, "reverted": {}}
    for now, look in enumerate(looks, 1):
        ledger, delta = advance(ledger, found(look), lambda _: True, now, latch=True)
        for slot, keys in delta.drop.items():
            for key in keys:
                del stored[slot][key]
        for slot, changes in delta.put.items():
            stored[slot] |= {(change.kind, change.key): change for change in changes}
        assert stored == {"open": ledger.open, "reverted": ledger.reverted}


def test_unlatched_what_is_put_right_is_gone() -> None:
    ledger, _ = advance(Ledger(), found({"a": "x"}), lambda _: True, 1, latch=False)
    ledger, _ = advance(ledger, {}, lambda _: True, 2, latch=False)
    assert ledger == Ledger()


def test_what_was_not_looked_at_stands() -> None:
    ledger, _ = advance(Ledger(), found({"a": "x"}), lambda _: True, 1, latch=True)
    after, delta = advance(ledger, {}, lambda _: False, 2, latch=True)
    assert after == ledger
    assert is_empty(delta)


def test_the_latch_is_bounded() -> None:
    many = found({str(number): "x" for number in range(MAX_REVERTED + 5)})
    ledger, _ = advance(Ledger(), many, lambda _: True, 1, latch=True)
    ledger, _ = advance(ledger, {}, lambda _: True, 2, latch=True)
    assert len(ledger.reverted) == MAX_REVERTED
