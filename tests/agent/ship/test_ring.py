"""What waits in memory."""

from drift_agent.model import Lane
from drift_agent.ship.batch import Batch
from drift_agent.ship.ring import Ring


def batch(number: int, lane: Lane) -> Batch:
    return Batch(0, lane, 1, number, 0, 0, b"x" * 10)


def test_what_must_go_is_the_oldest_of_the_lowest_lane() -> None:
    ring = Ring(max_bytes=40)
    lanes: tuple[Lane, ...] = ("drift", "metrics", "logs", "metrics")
    for number, lane in enumerate(lanes, 1):
        assert ring.put(batch(number, lane), {"a"}) == []
    assert [(gone.made, owed) for gone, owed in ring.put(batch(5, "drift"), {"a", "b"})] == [(2, {"a"})]
    assert [gone.made for gone, _ in ring.put(batch(6, "drift"), {"a"})] == [4]
    assert [gone.made for gone, _ in ring.put(batch(7, "drift"), {"a"})] == [3]
    assert [gone.made for gone, _ in ring.put(batch(8, "metrics"), {"a"})] == [8]
    assert [gone.made for gone, _ in ring.put(batch(9, "drift"), {"a"})] == [1]


def test_a_batch_leaves_when_its_last_output_has_it() -> None:
    ring = Ring()
    ring.put(batch(1, "drift"), {"a", "b"})
    ring.put(batch(2, "drift"), {"b"})
    newest, oldest = ring.newest_first("b", "drift")
    assert (newest.made, oldest.made) == (2, 1)
    ring.ack("a", oldest.id)
    assert list(ring.newest_first("a", "drift")) == []
    ring.ack("b", oldest.id)
    assert len(ring) == 1
    ring.ack("b", newest.id)
    assert len(ring) == 0
