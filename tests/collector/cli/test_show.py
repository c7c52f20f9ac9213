"""`drift show`: one instance, by as much of its name as it takes."""

import json
import time
from pathlib import Path

import jsonschema
import pytest

from commands import Commands
from drift_collector.cli.show import register
from drift_collector.report.document import schema
from reports import NOW, SECOND, drifted, item, report
from stores import fill


@pytest.fixture
def drift(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setattr(time, "time_ns", lambda: NOW)
    return Commands(register, capsys=capsys)


@pytest.fixture
def store(tmp_path: Path) -> str:
    instances = [
        drifted("i-abc1", host="web-1", modified=1, added=1, removed=1),
        report("i-abd2", host="web-2"),
        report("i-x", host="web"),
    ]
    stamp = instances[0].report
    items = [
        item("i-abc1", "/etc/motd", expected={"mode": "0644"}, actual={"mode": "0666"}, diff="-hello\n+\x1b[31mhi\n"),
        item("i-abc1", "/etc/evil\n", change="added", time=stamp + 1, expected={}, actual={"type": "file"}),
        item("i-abc1", "/etc/hosts", change="removed", time=stamp + 2, expected={"uid": 0}, actual={}),
    ]
    return fill(str(tmp_path / "store.db"), instances, items)


@pytest.mark.parametrize("name", ["i-abc1", "i-abc", "web-1"])
def test_an_instance_is_found_by_name_host_or_the_beginning_of_one(drift: Commands, store: str, name: str) -> None:
    ended = drift("show", name, "--store", store)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("DRIFTED  web-1 (i-abc1)\n")


def test_a_whole_host_name_is_not_ambiguous_though_others_begin_so(drift: Commands, store: str) -> None:
    assert "(i-x)" in drift("show", "web", "--store", store).out


def test_items_are_shown_expected_against_actual_and_escaped(drift: Commands, store: str) -> None:
    out = drift("show", "i-abc1", "--store", store).out
    assert (
        "~ modified file /etc/motd  (frozen, medium, 1m ago)\n    mode  expected 0644\n          actual   0666\n" in out
    )
    assert "    -hello\n    +\\x1b[31mhi\n" in out
    assert "+ added file /etc/evil\\n  (frozen, medium, 1m ago)\n    type  file\n" in out
    assert "- removed file /etc/hosts  (frozen, medium, 1m ago)\n    uid  0\n" in out


def test_json_validates_against_its_schema(drift: Commands, store: str) -> None:
    document = json.loads(drift("show", "i-abc1", "--store", store, "--format", "json").out)
    jsonschema.validate(document, schema("driftline.show/1"))
    assert document["instance"]["state"] == "drifted"
    assert [one["key"] for one in document["items"]] == ["/etc/motd", "/etc/evil\n", "/etc/hosts"]
    assert document["items"][0]["attributes"] == {"mode": {"expected": "0644", "actual": "0666"}}


def test_a_clean_instance_has_no_items(drift: Commands, store: str) -> None:
    ended = drift("show", "web-2", "--store", store)
    assert ended.code == 0
    assert ended.out.startswith("CLEAN  web-2 (i-abd2)\n")


def test_nobody_of_that_name_exits_3(drift: Commands, store: str) -> None:
    ended = drift("show", "db", "--store", store)
    assert (ended.code, ended.out) == (3, "")
    assert "'db'" in ended.err


def test_several_of_that_name_are_listed_and_exit_64(drift: Commands, store: str) -> None:
    ended = drift("show", "i-ab", "--store", store)
    assert (ended.code, ended.out) == (64, "")
    assert "i-abc1 (web-1), i-abd2 (web-2)" in ended.err


def test_fewer_items_than_announced_is_said(drift: Commands, tmp_path: Path) -> None:
    store = fill(str(tmp_path / "few.db"), [drifted("i-1", modified=3)], [item("i-1")])
    assert "1 of 3 announced items are in the store" in drift("show", "i-1", "--store", store).out


def test_items_that_its_agent_only_counted_are_no_missing_ones(drift: Commands, tmp_path: Path) -> None:
    stamp = NOW - 20 * SECOND
    rest = item("i-1", "2 more items", kind="rest", actual={"count": 2}, expected={}, time=stamp + 1)
    store = fill(str(tmp_path / "rest.db"), [drifted("i-1", modified=3)], [item("i-1"), rest])
    out = drift("show", "i-1", "--store", store).out
    assert "in the store" not in out
    assert "… 2 more items" in out
