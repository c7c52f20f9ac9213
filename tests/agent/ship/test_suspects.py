"""Groups and their halves; that exactly the guilty are found is shown in `test_sender.py`."""

from hypothesis import given
from hypothesis import strategies as st

from drift_agent.ship.batch import Batch
from drift_agent.ship.suspects import Group, Suspects, whole


def batch(id_: int, *lines: bytes) -> Batch:
    return Batch(id_, "metrics", len(lines), 0, 0, 0, b"".join(line + b"\n" for line in lines))


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8))
def test_halving_ends_at_single_lines_and_loses_none(sizes: list[int]) -> None:
    group = whole(batch(id_, *[b"%d.%d" % (id_, n) for n in range(size)]) for id_, size in enumerate(sizes))
    found, todo = [], [group]
    while todo:
        one = todo.pop()
        assert b"".join(one.body()) == b"".join(line + b"\n" for line in one.lines())
        if one.count == 1:
            found += one.lines()
        else:
            todo += one.halves(0)
    assert sorted(found) == sorted(group.lines())


def test_a_batch_is_closed_when_none_of_its_parts_is_open() -> None:
    suspects = Suspects()
    group = whole([batch(1, b"a", b"b"), batch(2, b"c")])
    suspects.add([group])
    first, second = group.halves(0)
    assert suspects.replace(group, [first, second]) == []
    left, right = first.halves(0)
    assert suspects.replace(first, [left, right]) == []
    assert suspects.remove(left) == []
    assert [one.id for one in suspects.remove(second)] == [2]
    assert [one.id for one in suspects.remove(right)] == [1]
    assert suspects.ids == {}


def test_what_failed_is_tried_again_only_when_something_else_has_passed() -> None:
    suspects, group = Suspects(), whole([batch(1, b"a")])
    suspects.add([group])
    assert suspects.ready(acks=0) is group
    group.tried, group.mark = True, 5
    assert suspects.ready(acks=5) is None
    assert suspects.ready(acks=6) is group


def test_without_its_bad_lines_a_group_may_be_empty() -> None:
    group = whole([batch(1, b"a", b"b"), batch(2, b"c")])
    rest = group.without({b"a", b"c"})
    assert isinstance(rest, Group)
    assert rest.body() == [b"b\n"]
    assert group.without({b"a", b"b", b"c"}) is None
