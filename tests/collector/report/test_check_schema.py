"""`drift image check --format json` holds what `driftline.check/1` promises."""

import json

import jsonschema
import pytest

from drift_agent.cli.common import to_json
from drift_agent.cli.image_text import check_document
from drift_agent.drift.check_result import CheckResult
from drift_agent.model import Change, Unreadable
from drift_collector.report.document import schema


@pytest.mark.parametrize("strict", [False, True])
def test_a_check_with_all_that_it_may_hold_validates(strict: bool) -> None:
    result = CheckResult(
        changes=[
            Change(
                "file", "/etc/motd", "modified", expected={"mode": "0644", "uid": 0}, actual={"mode": "0666", "uid": 1}
            ),
            Change("file", "/etc/\udcff", "added", "structural", "high", actual={"type": "file", "target": None}),
            Change("file", "/etc/hostname", "modified", "sealed", "low", {"sha256": "1"}, {"sha256": "2"}),
            Change("package", "curl:amd64", "removed", expected={"version": "1", "held": False}),
        ],
        scanned=5,
        unreadable=[Unreadable("file", "/root/\udcff", "permission denied")],
        not_applicable=["service"],
        observed="1:sha256:" + "a" * 64,
        seconds=0.1,
        omitted={"added": 40, "removed": 2},
    )
    document = json.loads(to_json(check_document(result, strict=strict)))
    jsonschema.validate(document, schema("driftline.check/1"))
    assert document["state"] == "drifted"
    assert document["changes"][1]["key_base64"]
    assert document["omitted"] == 42


def test_an_empty_check_validates() -> None:
    result = CheckResult(changes=[], scanned=0, unreadable=[], not_applicable=[], observed="", seconds=0.0)
    document = check_document(result, strict=False)
    jsonschema.validate(document, schema("driftline.check/1"))
    assert document["state"] == "clean"
