"""The SQL of the spool: who is owed what, and what goes first."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift_agent.model import LANES, Lane
from drift_agent.ship import rows
from drift_agent.ship.batch import Batch
from drift_agent.ship.database import Database

EVERY: Mapping[str, Sequence[Lane]] = {"a": LANES, "b": LANES}


@contextmanager
def opened(folder: str | Path) -> Iterator[Database]:
    database = Database(f"{folder}/spool.db", 64 << 20)
    try:
        yield database
    finally:
        database.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as made:
        yield made


def batch(number: int, lane: Lane = "metrics", *, size: int = 8) -> Batch:
    """The batch of that id; it was made at its number."""
    return Batch(number, lane, 2, number, number, number, b"x" * (size - 1) + b"\n")


def settle(database: Database, wanted: Mapping[str, Sequence[Lane]] = EVERY) -> dict[str, int]:
    with database.transaction() as run:
        return rows.settle_outputs(run, wanted)


def insert(database: Database, one: Batch, outputs: Sequence[int]) -> None:
    with database.transaction() as run:
        rows.insert(run, one, outputs)


def owed(database: Database, output: int, lane: Lane = "metrics") -> list[int]:
    with rows.newest_first(database, output, lane) as batches:
        return [one.id for one in batches]


def kept(database: Database) -> int:
    """How many batches the file holds, owed or not."""
    assert database.number("SELECT count(*) FROM body") == database.number("SELECT count(*) FROM batch")
    return database.number("SELECT count(*) FROM batch")


# --------------------------------------------------------------------------------------------- who is owed what

acts = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(LANES), st.sampled_from(["a", "b", "ab"])),
        st.tuples(st.just("ack"), st.sampled_from("ab"), st.integers(0, 9)),
        st.just(("settle",)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(acts)
def test_an_output_is_owed_what_was_put_for_it_and_it_did_not_acknowledge(done: list[tuple[object, ...]]) -> None:
    put: dict[int, Batch] = {}
    owing: dict[str, set[int]] = {"a": set(), "b": set()}
    with tempfile.TemporaryDirectory() as folder, opened(folder) as database:
        ids = settle(database)
        for act in done:
            match act:
                case ("put", lane, labels):
                    one = put[len(put) + 1] = batch(len(put) + 1, lane)  # type: ignore[arg-type]
                    insert(database, one, [ids[label] for label in labels])  # type: ignore[attr-defined]
                    for label in labels:  # type: ignore[attr-defined]
                        owing[label].add(one.id)
                case ("ack", str(label), int(number)):
                    acked = [one for one in put.values() if one.id % 10 == number]
                    rows.note_acks(database, ids[label], acked)
                    owing[label] -= {one.id for one in acked}
                case _:
                    with database.transaction() as run:
                        rows.settle_acks(run)
                    assert kept(database) == len(owing["a"] | owing["b"])
        for label, numbers in owing.items():
            for lane in LANES:
                waiting = sorted((n for n in numbers if put[n].lane == lane), reverse=True)
                with rows.newest_first(database, ids[label], lane) as batches:
                    assert list(batches) == [put[number] for number in waiting]
                counted = rows.count_owed(database, ids[label]).get(lane)
                assert counted == ((2 * len(waiting), 8 * len(waiting), min(waiting)) if waiting else None)
        anybody = owing["a"] | owing["b"]
        for lane in LANES:
            left = [number for number in anybody if put[number].lane == lane]
            counted = rows.count(database).get(lane)
            assert counted == ((2 * len(left), 8 * len(left), min(left)) if left else None)


def test_a_batch_that_nobody_takes_is_not_kept(database: Database) -> None:
    insert(database, batch(1), [])
    assert kept(database) == rows.last_id(database) == 0


# ------------------------------------------------------------------------------------------------ what must go


def enforce(
    database: Database, outputs: Sequence[int], *, max_bytes: int = 1 << 30, made_before: int = 0
) -> list[tuple[int, int]]:
    with database.transaction() as run:
        return rows.enforce(database, run, outputs, max_bytes=max_bytes, made_before=made_before)


def test_what_is_too_old_goes_from_every_lane_and_is_counted_for_who_was_owed_it(database: Database) -> None:
    ids = settle(database)
    a, b = ids["a"], ids["b"]
    insert(database, batch(1, "drift"), [a])
    insert(database, batch(2, "metrics"), [a, b])
    insert(database, batch(3, "metrics"), [b])
    assert sorted(enforce(database, [a, b], made_before=3)) == sorted([(a, 2), (a, 2), (b, 2)])
    assert (owed(database, a, "drift"), owed(database, a), owed(database, b)) == ([], [], [3])


def test_over_the_cap_the_oldest_of_the_lowest_lane_goes_first_and_drift_last(database: Database) -> None:
    a = settle(database)["a"]
    for number, lane in enumerate(("metrics", "drift", "logs", "metrics", "logs"), 1):
        insert(database, batch(number, lane, size=100_000), [a])  # type: ignore[arg-type]
    gone = []
    before = {number for lane in LANES for number in owed(database, a, lane)}
    while before:
        enforce(database, [a], max_bytes=database.used_bytes() - 1)
        now = {number for lane in LANES for number in owed(database, a, lane)}
        gone.append(before - now)
        before = now
    assert gone == [{1}, {4}, {3}, {5}, {2}]


def test_what_fits_and_is_young_stays(database: Database) -> None:
    a = settle(database)["a"]
    insert(database, batch(5), [a])
    assert enforce(database, [a], max_bytes=database.used_bytes(), made_before=5) == []
    assert owed(database, a) == [5]


# ----------------------------------------------------------------------------------------------------- outputs


def test_an_output_keeps_its_number_and_a_lane_that_it_takes_no_more_is_given_up(database: Database) -> None:
    ids = settle(database)
    insert(database, batch(1, "drift"), [ids["a"]])
    insert(database, batch(2, "metrics"), [ids["a"]])
    assert settle(database, {"b": LANES, "a": ("drift",)}) == ids
    assert (owed(database, ids["a"], "drift"), owed(database, ids["a"])) == ([1], [])
    assert kept(database) == 1


def test_what_waited_for_one_that_is_gone_goes_to_those_that_are_new_as_far_as_they_take_it(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    old = settle(database, {"a": LANES})["a"]
    insert(database, batch(1, "drift"), [old])
    insert(database, batch(2, "metrics"), [old])
    heir = settle(database, {"c": ("drift",)})["c"]
    assert (owed(database, heir, "drift"), owed(database, heir)) == ([1], [])
    assert kept(database) == 1
    assert caplog.records == []


def test_where_none_is_new_it_is_given_up_and_said_and_what_others_are_owed_stays(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ids = settle(database)
    insert(database, batch(1), [ids["a"]])
    insert(database, batch(2), [ids["a"], ids["b"]])
    settle(database, {"b": LANES})
    assert owed(database, ids["b"]) == [2]
    assert kept(database) == 1
    assert [record.message for record in caplog.records] == [
        "output a is no longer configured: what waited for it was given up"
    ]


def test_where_no_output_is_configured_everything_waits(database: Database) -> None:
    ids = settle(database)
    insert(database, batch(1), [ids["a"]])
    assert settle(database, {}) == {}
    assert settle(database, {"c": LANES}).keys() == {"c"}
    assert kept(database) == 1


# ----------------------------------------------------------------------------------------------------- offsets


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.binary(max_size=3), max_size=3), max_size=4))
@settings(deadline=None, max_examples=30)
def test_an_offset_is_the_last_that_was_put_and_an_empty_one_is_none(puts: list[dict[str, bytes]]) -> None:
    expected: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder, opened(folder) as database:
        for offsets in puts:
            with database.transaction() as run:
                rows.put_offsets(run, offsets)
            expected |= offsets
        assert rows.offsets(database) == {key: value for key, value in expected.items() if value}


def test_the_last_id_is_the_highest_that_is_in_use(database: Database) -> None:
    a = settle(database)["a"]
    for number in (3, 7, 5):
        insert(database, replace(batch(number), lane=LANES[number % 3]), [a])
    assert rows.last_id(database) == 7
