"""The documents hold what their schemas promise, whatever hosts say."""

import base64
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.cli.common import to_json
from drift_agent.units import rfc3339
from drift_collector.fleet.model import STATES, Verdict
from drift_collector.fleet.systemic import with_systemic
from drift_collector.fleet.verdict import judge
from drift_collector.report.document import report_document, report_json, schema, show_document
from drift_collector.store.base import DriftItem
from reports import NOW, TRUSTED, drifted, item, report

VALUES = st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=5)
ATTRIBUTES = st.dictionaries(st.text(max_size=5), VALUES, max_size=3)
ANY_TEXT = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=8)


@pytest.mark.parametrize("name", ["driftline.report/1", "driftline.show/1", "driftline.check/1"])
def test_each_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["title"] == schema(name)["properties"]["schema"]["const"] == name


def check(document: Any, name: str) -> None:
    """Validates without checking the schema each time, which takes longer than the document."""
    jsonschema.Draft202012Validator(schema(name)).validate(document)


def test_a_report_holds_what_was_promised() -> None:
    fleet = judge([report("i-1"), drifted("i-2"), drifted("i-3"), report("i-4", state="terminated")], NOW, TRUSTED)
    document = report_document(with_systemic(fleet, lambda one: [item(one.instance)]), NOW)
    check(document, "driftline.report/1")
    assert document["generated"] == "2026-09-21T14:13:20.000000Z"
    assert document["summary"] == dict.fromkeys(STATES, 0) | {"drifted": 2, "clean": 1}
    assert document["coverage"] == {"expected": 3, "fresh": 3, "ratio": 1.0}
    assert (document["terminated"], document["trust"]) == (1, {"manifests": 1, "signatures": False})
    assert document["systemic"][0]["key"] == "/etc/motd"
    first = document["instances"][0]
    assert first == {
        "instance": "i-2", "host": "host-i-2", "image": "web@1.2", "group": "web", "state": "drifted",
        "reasons": [
            {"code": "drifted", "text": "1 modified"},
            {"code": "systemic", "text": "all its items are on at least half of its image's instances: SYSTEMIC"},
        ],
        "added": 0, "removed": 0, "modified": 1, "reverted": 0, "logins": 0,
        "since": "2026-09-21T13:13:20.000000Z", "last_seen": "2026-09-21T14:13:10.000000Z",
    }  # fmt: skip


def test_nothing_at_all_is_a_report_too() -> None:
    document = report_document(judge([], NOW), NOW)
    check(document, "driftline.report/1")
    assert document["coverage"] == {"expected": 0, "fresh": 0, "ratio": 0.0}
    assert document["trust"] == {"manifests": None, "signatures": False}


def test_the_text_of_a_report_has_an_instance_a_line() -> None:
    for reports in ([], [report("i-1")], [report("i-1"), drifted("i-2")]):
        fleet = judge(reports, NOW)
        text = report_json(fleet, NOW)
        assert json.loads(text) == report_document(fleet, NOW)
        assert sum('"instance": "i-' in line for line in text.splitlines()) == len(reports)


def test_the_silent_have_no_times() -> None:
    document = report_document(judge([], NOW, expected={"i-1"}), NOW)
    check(document, "driftline.report/1")
    assert (document["instances"][0]["since"], document["instances"][0]["last_seen"]) == (None, None)


@given(ANY_TEXT, ANY_TEXT, st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1))
def test_hostile_reports_make_valid_documents(name: str, host: str, time: int, count: int) -> None:
    hostile = report(name, host=host, image=host, group=name, time=time, since=time, added=count, state=host)
    fleet = judge([hostile], NOW)
    document = json.loads(report_json(fleet, NOW))
    assert document == json.loads(to_json(report_document(fleet, NOW)))
    check(document, "driftline.report/1")
    json.dumps(document, ensure_ascii=False).encode()


@given(ATTRIBUTES, ATTRIBUTES, ANY_TEXT)
def test_hostile_items_make_valid_documents(expected: Any, actual: Any, text: str) -> None:
    hostile = DriftItem(NOW, "i-1", text, text, text, text, text, expected, actual, text, NOW, -1)
    document = json.loads(to_json(show_document(Verdict("i-1", "drifted"), [hostile], NOW)))
    check(document, "driftline.show/1")
    json.dumps(document, ensure_ascii=False).encode()
    assert len(document["items"][0]["attributes"]) == len({*expected, *actual})


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_999, "1970-01-01T00:00:00.000001Z"),
        (-(2**63), "1677-09-21T00:12:43.145224Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775Z"),
    ],
)
def test_every_time_of_64_bits_is_rfc_3339(moment: int | None, text: str | None) -> None:
    assert rfc3339(moment) == text


@pytest.mark.parametrize(
    ("key", "readable", "raw"),
    [("/etc/\udcff\n", "/etc/\\xff\n", b"/etc/\xff\n"), ("\ud800é", "\\ud800é", b"\xed\xa0\x80\xc3\xa9")],
)
def test_a_key_that_is_not_utf_8_is_readable_and_whole(key: str, readable: str, raw: bytes) -> None:
    document = show_document(Verdict("i-1", "drifted"), [item(key=key), item()], NOW)
    assert document["items"][0]["key"] == readable
    assert base64.b64decode(document["items"][0]["key_base64"]) == raw
    assert "key_base64" not in document["items"][1]
