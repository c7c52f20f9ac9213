"""Signs of a wiped memory, from the seals that were seen."""

from hypothesis import given
from hypothesis import strategies as st

from drift_collector.store.base import Reset
from drift_collector.store.resets import SealSeen, Twice, resets_of

SEALS = st.builds(SealSeen, st.integers(0, 4), st.sampled_from("ab"), st.sampled_from(["b1", "b2"]), st.integers(1, 99))


def test_one_seal_under_any_number_of_boots_is_honest() -> None:
    assert resets_of([SealSeen(5, "s", boot, first) for first, boot in enumerate("abcab")]) == ()


def test_points_before_the_seal_do_not_count() -> None:
    assert resets_of([SealSeen(0, "", "b1", 1), SealSeen(5, "s", "b1", 2)]) == ()


def test_a_second_seal_within_one_boot_is_no_new_boot() -> None:
    seen = [SealSeen(5, "s", "b1", 1), SealSeen(5, "s", "b2", 2), SealSeen(9, "s", "b2", 3), SealSeen(9, "s", "b3", 4)]
    assert resets_of(seen) == (Reset("sealed", "5", "9", 3, new_boot=False),)


def test_a_second_seal_under_boots_of_its_own_is_one() -> None:
    seen = [SealSeen(5, "s", "b1", 1), SealSeen(9, "s", "b2", 3)]
    assert resets_of(seen) == (Reset("sealed", "5", "9", 3, new_boot=True),)


def test_another_digest_of_the_same_seal() -> None:
    seen = [SealSeen(5, "s", "b1", 1), SealSeen(5, "t", "b1", 3)]
    assert resets_of(seen) == (Reset("seal", "s", "t", 3, new_boot=False),)


def test_a_seq_that_came_twice() -> None:
    assert resets_of([], [Twice(5, 8, 20, 10)]) == (Reset("seq", "8 at 20", "8 at 10", 20, new_boot=False),)


@given(st.lists(SEALS, max_size=8), st.randoms())
def test_the_order_of_arrival_does_not_matter(seals: list[SealSeen], random: object) -> None:
    shuffled = list(seals)
    getattr(random, "shuffle")(shuffled)  # noqa: B009 (Hypothesis gives it no type)
    assert resets_of(shuffled) == resets_of(seals)
    times = [reset.at for reset in resets_of(seals)]
    assert times == sorted(times)
