"""What facts share: items in the manifest's order, no record lost, what cannot be read noted."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from drift_agent.image.canonical import order
from drift_agent.image.facts.base import Context, gathered, names_in, read_text, unique
from drift_agent.image.rootfs import RootFiles
from drift_agent.model import Attributes

keys = st.text(alphabet="a#2/\udc80", min_size=1, max_size=4)


@given(st.sets(keys))
def test_items_stand_in_the_order_of_the_manifest(names: set[str]) -> None:
    items = gathered("user", {name: {} for name in names}).items
    places = [order(item.kind, item.key) for item in items]
    assert places == sorted(places)
    assert {item.key for item in items} == names


@given(st.lists(keys))
def test_no_record_takes_the_place_of_another(names: list[str]) -> None:
    records: dict[str, Attributes] = {}
    for number, name in enumerate(names):
        records[unique(records, name)] = {"uid": number}
    assert [record["uid"] for record in records.values()] == list(range(len(names)))
    assert set(names) <= records.keys()


def test_what_is_not_there_is_nothing_and_what_cannot_be_read_is_noted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"")
    os.truncate(tmp_path / "large", (64 << 20) + 1)
    unreadable: dict[str, str] = {}
    with RootFiles(str(tmp_path)) as files:
        context = Context(files)
        assert [read_text(context, key, unreadable) for key in ("/none", "/pipe", "/folder")] == [None, None, None]
        assert names_in(context, "/none", unreadable) == []
        assert unreadable == {}
        assert read_text(context, "/large", unreadable) is None
    assert unreadable == {"/large": "File too large"}
