"""The stat cache: what it remembers, when it is written, and when it is not believed."""

import errno
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.image.stat_record import PLAIN, Record, RecordBuilder, stat_key
from drift_agent.image.statcache import StatCache


def record(key: str, *names: str, way: int = PLAIN) -> Record:
    builder = RecordBuilder((1, 2, 3, 4, 5), 100)
    for number, name in enumerate(names):
        builder.add(name, None, (1, 2, 3, 4, number), way, b"line of it\n")
    return builder.record(key)


def fill(path: Path, *records: Record, identity: str = "one") -> None:
    cache = StatCache(str(path), identity)
    for each in records:
        assert cache.take(each.key) is None
        cache.keep(each)
    cache.finish()


def taken(cache: StatCache, key: str) -> Record | None:
    stored = cache.take(key)
    if stored is None:
        return None
    record = stored.record()
    assert record is not None
    assert stored.raw() == record.encode()
    assert b"\0".join(stored.names()) == record.names
    assert stored.stats == record.stats
    assert (stored.ways, stored.lines, stored.size) == (record.ways, record.lines, len(stored.raw()))
    return record


RECORDS = (record("/", "a", "b"), record("/a", "x"), record("/a/\udcff", "y\udcfe"), record("/b", "z"))


def test_what_was_kept_is_taken_again_in_walk_order(tmp_path: Path) -> None:
    fill(tmp_path / "cache", *RECORDS)
    cache = StatCache(str(tmp_path / "cache"), "one")
    assert [taken(cache, each.key) for each in RECORDS] == list(RECORDS)
    assert cache.take("/c") is None
    cache.close()


def test_folders_that_are_gone_or_new_are_passed_over(tmp_path: Path) -> None:
    fill(tmp_path / "cache", *RECORDS)
    cache = StatCache(str(tmp_path / "cache"), "one")
    assert taken(cache, "/") == RECORDS[0]
    assert cache.take("/Aa") is None
    assert taken(cache, "/b") == RECORDS[3]
    cache.close()


def test_where_it_cannot_be_read_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder of the tree is unreadable for it."""

    class Damaged(io.BytesIO):
        left = 3

        def read(self, size: int | None = -1, /) -> bytes:
            Damaged.left -= 1
            if Damaged.left < 0:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    fill(tmp_path / "cache", *RECORDS)
    raw = (tmp_path / "cache").read_bytes()
    monkeypatch.setattr("builtins.open", lambda *_, **__: Damaged(raw))
    for reads, known in ((0, None), (2, None), (3, RECORDS[0])):
        Damaged.left = reads
        cache = StatCache(str(tmp_path / "cache"), "one")
        assert taken(cache, "/") == known
        assert cache.take("/a") is None
        cache.close()


def test_nothing_is_written_while_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    fill(path, *RECORDS)
    before = stat_key(path.stat())
    cache = StatCache(str(path), "one")
    for each in RECORDS:
        stored = cache.take(each.key)
        assert stored is not None
        cache.same(stored)
    cache.finish()
    assert stat_key(path.stat()) == before
    assert os.listdir(tmp_path) == ["cache"]


@given(st.lists(st.sampled_from(["same", "other", "gone"]), min_size=4, max_size=4), st.booleans())
def test_a_renewed_cache_holds_just_what_was_said_last(
    tmp_path_factory: pytest.TempPathFactory, fates: list[str], one_more: bool
) -> None:
    path = tmp_path_factory.mktemp("c") / "cache"
    fill(path, *RECORDS)
    cache = StatCache(str(path), "one")
    expected = []
    for each, fate in zip(RECORDS, fates, strict=True):
        if fate == "gone":
            continue
        stored = cache.take(each.key)
        assert stored is not None
        assert stored.record() == each
        kept = each if fate == "same" else record(each.key, "other")
        expected.append(kept)
        if fate == "same":
            cache.same(stored)
        else:
            cache.keep(kept)
    if one_more:
        expected.append(record("/z", "new"))
        assert cache.take("/z") is None
        cache.keep(expected[-1])
    cache.finish()
    again = StatCache(str(path), "one")
    assert [taken(again, each.key) for each in expected] == expected
    again.close()
    assert path.stat().st_size == sum(len(each.encode()) for each in expected) + len(b"driftline stat cache 2\none\n")


@pytest.mark.parametrize("identity", ["two", "on", "onee"])
def test_another_manifests_cache_is_none(tmp_path: Path, identity: str) -> None:
    fill(tmp_path / "cache", *RECORDS)
    cache = StatCache(str(tmp_path / "cache"), identity)
    assert cache.take("/") is None
    cache.close()


@given(st.data())
def test_a_damaged_cache_is_taken_up_to_the_damage_and_never_raises(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("c") / "cache"
    fill(path, *RECORDS)
    raw = path.read_bytes()
    cut = data.draw(st.integers(0, len(raw)))
    path.write_bytes(raw[:cut] + data.draw(st.binary(max_size=8)))
    cache = StatCache(str(path), "one")
    for each in RECORDS:
        stored = cache.take(each.key)
        if stored is not None:
            stored.record()
            stored.names()
    cache.close()


def test_what_is_given_up_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    fill(path, *RECORDS)
    before = path.read_bytes()
    cache = StatCache(str(path), "one")
    cache.take("/")
    cache.keep(record("/", "other"))
    cache.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", ["/dev/full", "none/cache"])
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, path: str) -> None:
    if path == "/dev/full":
        os.symlink("/dev/full", tmp_path / "cache.tmp")
        path = "cache"
    cache = StatCache(str(tmp_path / path), "one")
    cache.take("/")
    cache.keep(record("/", "a"))
    cache.keep(record("/a", *map(str, range(100))))
    cache.finish()
    assert not (tmp_path / path).exists()
