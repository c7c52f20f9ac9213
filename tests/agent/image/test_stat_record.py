"""What is remembered of one folder, and what of it is not to be trusted."""

from drift_agent.image.stat_record import (
    DESCEND,
    HEAD,
    HIDDEN,
    PLAIN,
    SINGLE,
    STAT_BYTES,
    Record,
    RecordBuilder,
    Stored,
    pack,
)

OLD, WRITTEN, CHANGED = (1, 2, 3, 99, 99), (1, 2, 3, 100, 99), (1, 2, 3, 99, 100)


def stored(record: Record) -> Stored:
    raw = record.encode()
    key, names, count, _ = HEAD.unpack_from(raw)
    return Stored(0, key, names, count, raw[HEAD.size :])


def test_what_changed_a_moment_ago_is_not_trusted() -> None:
    builder = RecordBuilder(OLD, trusted_before=100)
    for name, status in (("old", OLD), ("written", WRITTEN), ("changed", CHANGED)):
        builder.add(name, None, status, PLAIN, b"l\n")
    stats = {name: stat for name, (stat, _, _) in builder.record("/").by_name().items()}
    assert stats == {b"old": pack(OLD), b"written": bytes(STAT_BYTES), b"changed": bytes(STAT_BYTES)}


def test_a_file_must_have_been_left_alone_for_longer_than_a_folder() -> None:
    builder = RecordBuilder(OLD, 100, 99)
    builder.add("folder", None, OLD, DESCEND, b"l\n")
    builder.add("file", None, OLD, PLAIN, b"l\n")
    stats = {name: stat for name, (stat, _, _) in builder.record("/").by_name().items()}
    assert stats == {b"folder": pack(OLD), b"file": bytes(STAT_BYTES)}


def test_a_folder_that_changed_a_moment_ago_is_to_be_listed_again() -> None:
    owns = [RecordBuilder(own, trusted_before=100).record("/").stats for own in (OLD, WRITTEN, CHANGED)]
    assert owns == [pack(OLD), bytes(STAT_BYTES), bytes(STAT_BYTES)]


def test_a_records_parts_are_runs_broken_by_what_stands_alone() -> None:
    builder = RecordBuilder(OLD, 100)
    for name, way in (("a", PLAIN), ("b", DESCEND), ("c", HIDDEN), ("d", PLAIN), ("e", SINGLE), ("f", PLAIN)):
        builder.add(name, None, OLD, way, b"" if way == HIDDEN else f"{name}\n".encode())
    assert list(stored(builder.record("/")).parts()) == [
        (1, DESCEND, 2, b"a\nb\n"),
        (2, HIDDEN, 1, b""),
        (3, PLAIN, 1, b"d\n"),
        (4, SINGLE, 1, b"e\n"),
        (5, PLAIN, 1, b"f\n"),
    ]


def test_names_that_do_not_add_up_are_none() -> None:
    builder = RecordBuilder(OLD, 100)
    builder.add("a\0b", None, OLD, PLAIN, b"l\n")
    record = stored(builder.record("/"))
    assert (record.names(), record.record()) == ([], None)


def test_times_before_1970_are_packed_too() -> None:
    assert pack([-1]) == b"\xff" * 8
