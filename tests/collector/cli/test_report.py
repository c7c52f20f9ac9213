"""`drift report`, from the command line to the store and back."""

import json
import time
from pathlib import Path

import jsonschema
import pytest

from commands import Commands
from drift_collector.cli.report import register
from drift_collector.report.document import schema
from reports import NOW, SECOND, drifted, item, report
from stores import fill


@pytest.fixture
def drift(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setattr(time, "time_ns", lambda: NOW)
    return Commands(register, capsys=capsys)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


def test_a_clean_fleet_exits_0(drift: Commands, database: str) -> None:
    ended = drift("report", "--store", fill(database, [report("i-1"), report("i-2")]))
    assert (ended.code, ended.err) == (0, "")
    assert "2 instances: 2 CLEAN · coverage 2/2 (100%)\n" in ended.out


def test_a_drifted_instance_exits_2_and_stands_first(drift: Commands, database: str) -> None:
    ended = drift("report", "--store", fill(database, [report("i-1"), drifted("i-2")]))
    assert ended.code == 2
    assert ended.out.splitlines()[1].split()[:2] == ["DRIFTED", "i-2"]


def test_an_instance_from_before_the_window_is_stale_and_exits_3(drift: Commands, database: str) -> None:
    old = report("i-2", time=NOW - 86400 * SECOND, scan_at=NOW - 86400 * SECOND)
    ended = drift("report", "--store", fill(database, [report("i-1"), old]))
    assert ended.code == 3
    assert "STALE" in ended.out


def test_an_instance_from_the_far_future_does_not_slip_out_of_the_report(drift: Commands, database: str) -> None:
    ahead = report("i-2", time=2**63 - 10, scan_at=2**63 - 10)
    ended = drift("report", "--store", fill(database, [report("i-1"), ahead]))
    assert ended.code == 3
    assert "UNVERIFIED" in ended.out


def test_an_empty_store_is_nothing_found(drift: Commands, database: str) -> None:
    ended = drift("report", "--store", fill(database, []))
    assert ended.code == 3
    assert "0 instances" in ended.out


def test_fewer_than_expected_exits_3_unless_the_floor_allows_it(drift: Commands, database: str) -> None:
    store = fill(database, [report("i-1")])
    assert drift("report", "--store", store, "--expect", "2").code == 3
    assert drift("report", "--store", store, "--expect", "2", "--floor", "0.5").code == 0


def test_an_inventory_tells_who_is_silent_and_who_was_not_expected(
    drift: Commands, database: str, tmp_path: Path
) -> None:
    inventory = tmp_path / "fleet.txt"
    inventory.write_text("i-1\ni-2\n")
    store = fill(database, [report("i-1"), report("i-9")])
    ended = drift("report", "--store", store, "--inventory", str(inventory))
    assert ended.code == 3
    assert [line.split()[:2] for line in ended.out.splitlines()[1:4]] == [
        ["SILENT", "i-2"],
        ["CLEAN", "i-1"],
        ["CLEAN", "i-9"],
    ]
    assert "coverage 1/2 (50%)" in ended.out


def test_json_validates_against_its_schema(drift: Commands, database: str) -> None:
    hostile = drifted("i-\u202e", host='<b>\x1b[31m"\\', group="g h,=")
    ended = drift("report", "--format", "json", "--store", fill(database, [report("i-1"), hostile]))
    document = json.loads(ended.out)
    jsonschema.validate(document, schema("driftline.report/1"))
    assert ended.code == 2
    assert document["summary"]["drifted"] == 1
    assert document["coverage"] == {"expected": 2, "fresh": 2, "ratio": 1.0}
    assert [one["state"] for one in document["instances"]] == ["drifted", "clean"]


def test_output_goes_whole_to_a_file(drift: Commands, database: str, tmp_path: Path) -> None:
    store = fill(database, [report("i-1")])
    for form in ("table", "json"):
        target = tmp_path / form
        printed = drift("report", "--store", store, "--format", form)
        written = drift("report", "--store", store, "--format", form, "-o", str(target))
        assert (written.code, written.out) == (0, "")
        assert target.read_text(encoding="utf-8") == printed.out


def test_the_environment_names_the_store(drift: Commands, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_STORE", fill(database, [report("i-1")]))
    assert drift("report").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--store", "ftp://x"], 64, "ftp://x"),
        (["--store", "sqlite:////nowhere/at/all.db"], 1, "/nowhere/at/all.db"),
        (["--format", "yaml"], 64, "yaml"),
        (["--floor", "2"], 64, "floor"),
        (["--manifests", "/nowhere/at/all"], 64, "/nowhere/at/all"),
        (["--public", "key.pub"], 64, "--manifests"),
        (["--inventory", "/nowhere/at/all"], 1, "/nowhere/at/all"),
        (["--inventory", "x", "--expect", "1"], 64, "--expect and --inventory"),
    ],
)
def test_mistakes_are_one_sentence_and_the_right_exit_code(
    drift: Commands, arguments: list[str], code: int, says: str
) -> None:
    ended = drift("report", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert ended.err.count("\n") == 1


def test_an_item_on_most_of_an_image_is_systemic(drift: Commands, database: str) -> None:
    instances = [drifted("i-1"), drifted("i-2"), report("i-3")]
    ended = drift("report", "--store", fill(database, instances, [item("i-1"), item("i-2")]))
    assert ended.code == 2
    assert "SYSTEMIC modified file /etc/motd on 2 of 3 instances of web@1.2" in ended.out
