"""What waits in memory."""

from drift_agent.model import Lane
from drift_agent.ship.batch import Batch
from drift_agent.ship.ring import Ring


def batch(id_: int, lane: Lane, size: int = 10) -> Batch:
    return Batch(id_, lane, 1, 0, 0, 0, b"x" * size)


def test_what_must_go_is_the_oldest_of_the_lowest_lane() -> None:
    ring = Ring(max_bytes=40)
    for id_, lane in enumerate(("drift", "metrics", "logs", "metrics"), 1):
        assert ring.put(batch(id_, lane), {"a"}) == []  # type: ignore[arg-type]
    assert [(gone.id, owed) for gone, owed in ring.put(batch(5, "drift"), {"a", "b"})] == [(2, {"a"})]
    assert [gone.id for gone, _ in ring.put(batch(6, "drift"), {"a"})] == [4]
    assert [gone.id for gone, _ in ring.put(batch(7, "drift"), {"a"})] == [3]
    assert [gone.id for gone, _ in ring.put(batch(8, "metrics"), {"a"})] == [8]
    assert [gone.id for gone, _ in ring.put(batch(9, "drift"), {"a"})] == [1]


def test_a_batch_leaves_when_its_last_output_has_it() -> None:
    ring = Ring()
    ring.put(batch(1, "drift"), {"a", "b"})
    ring.ack("a", 1)
    assert [found.id for found in ring.newest_first("b", "drift")] == [1]
    assert list(ring.newest_first("a", "drift")) == []
    ring.ack("b", 1)
    assert len(ring) == 0
