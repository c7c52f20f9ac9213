"""What a fleet's reports are judged to be."""

from dataclasses import replace
from typing import Any

import pytest

from drift_agent.errors import EXIT_HOLD, EXIT_OK, EXIT_RECYCLE
from drift_collector.fleet.model import STATES, Trusted, Verdict
from drift_collector.fleet.verdict import judge
from drift_collector.store.base import DriftReport, Reset
from reports import DIGEST, NOW, SECOND, TRUSTED, drifted, report

MINUTE = 60 * SECOND
OTHER = "1:sha256:" + "d" * 64


def verdict(one: DriftReport, **arguments: Any) -> Verdict:
    (found,) = judge([one], NOW, **arguments).verdicts
    return found


def codes(found: Verdict) -> list[str]:
    return [reason.code for reason in found.reasons]


def test_a_fresh_report_that_equals_its_image_is_clean_and_says_nothing() -> None:
    found = verdict(report(), trusted=TRUSTED)
    assert (found.state, found.reasons) == ("clean", ())


@pytest.mark.parametrize(
    ("changed", "state", "code"),
    [
        ({"state": "drifted", "modified": 2}, "drifted", "drifted"),
        ({"state": "drifted", "reverted": 1}, "drifted", "drifted"),
        ({"state": "clean", "added": 1}, "drifted", "drifted"),
        ({"state": "drifted"}, "drifted", "drifted"),
        ({"state": "tainted", "logins": 1}, "tainted", "tainted"),
        ({"state": "tainted"}, "tainted", "tainted"),
        ({"state": "pending", "scan_at": 0}, "unverified", "pending"),
        ({"state": "unverified"}, "unverified", "agent"),
        ({"state": "unverified", "unreadable": 3}, "unverified", "unreadable"),
        ({"state": "splendid"}, "unverified", "unknown-state"),
        ({"state": ""}, "unverified", "unknown-state"),
        ({"instance": ""}, "unverified", "no-instance"),
        ({"observed": OTHER}, "unverified", "observed"),
        ({"observed": ""}, "unverified", "observed"),
        ({"observed": "", "manifest": ""}, "unverified", "manifest"),
        ({"observed": "2:sha256:" + "a" * 64}, "unverified", "semantics"),
        ({"scan_at": 0}, "unverified", "no-scan"),
        ({"scan_at": NOW - 1811 * SECOND}, "unverified", "scan-old"),
        ({"scan_at": NOW + 2 * MINUTE}, "unverified", "clock"),
        ({"time": NOW + 61 * SECOND, "scan_at": NOW}, "unverified", "clock"),
        ({"time": NOW - 181 * SECOND}, "stale", "stale"),
        ({"time": NOW - 61 * SECOND, "interval": 1}, "stale", "stale"),
        ({"time": NOW + 2 * SECOND, "interval": 0}, "unverified", "clock"),
        ({"state": "stopped"}, "stale", "stopped"),
        ({"seq": 2**62}, "unverified", "seq"),
        ({"interval": 3601}, "unverified", "interval"),
        ({"scan_interval": 86401}, "unverified", "interval"),
    ],
)
def test_each_finding_has_its_state_and_its_reason(changed: dict[str, Any], state: str, code: str) -> None:
    found = verdict(report(**changed))
    assert (found.state, codes(found)) == (state, [code])


@pytest.mark.parametrize(
    "changed",
    [
        {"time": NOW - 180 * SECOND},
        {"time": NOW + 60 * SECOND, "scan_at": NOW},
        {"time": NOW - 60 * SECOND, "interval": 1},
        {"time": NOW + SECOND, "interval": 0},
        {"scan_at": NOW + 50 * SECOND},
        {"time": NOW - 899 * SECOND, "scan_at": NOW - 900 * SECOND, "interval": 300},
        {"scan_at": NOW - 1810 * SECOND},
        {"interval": 3600, "time": NOW - 3 * 3600 * SECOND, "scan_at": NOW - 3 * 3600 * SECOND, "scan_interval": 86400},
    ],
)
def test_what_is_just_within_its_bounds_is_clean(changed: dict[str, Any]) -> None:
    assert verdict(report(**changed)).state == "clean"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"added": 1, "removed": 2, "modified": 3, "reverted": 4}, "1 added, 2 removed, 3 modified, 4 reverted"),
        ({"state": "drifted"}, "its agent says so, and lists no items"),
        ({"state": "tainted"}, "somebody logged in"),
        ({"logins": 1}, "1 login"),
        ({"logins": 2}, "2 logins"),
        ({"unreadable": 1}, "1 item could not be read"),
        ({"unreadable": 2}, "2 items could not be read"),
        ({"state": "x" * 50}, f"its agent says {'x' * 40!r}, which is no state"),
        ({"time": NOW - 3600 * SECOND, "scan_at": NOW - 3700 * SECOND}, "no report for 1h, and one is due every 1m"),
        ({"state": "stopped", "time": NOW - 120 * SECOND}, "its agent was stopped 2m ago"),
        ({"scan_at": NOW - 7210 * SECOND}, "its last complete scan was 2h before its report, and is due every 15m"),
        ({"time": NOW + 300 * SECOND, "scan_at": NOW}, "its report is 5m in the future"),
        ({"scan_at": NOW + 110 * SECOND}, "its clock stepped back by 2m since its last scan"),
        ({"clock_offset": 61.0}, "its clock is 1m behind"),
        ({"clock_offset": -7500.0}, "its clock is 2h 5m ahead"),
        (
            {"observed": "2:sha256:" + "a" * 64},
            "its digest has version 2, its manifest 1: bake with the agent's version",
        ),
        ({"observed": ":x"}, "its digest has version unknown, its manifest 1: bake with the agent's version"),
    ],
)
def test_each_reason_says_what_was_seen(changed: dict[str, Any], text: str) -> None:
    assert [reason.text for reason in verdict(report(**changed)).reasons] == [text]


def test_no_agent_is_believed_for_longer_than_three_hours() -> None:
    month = 30 * 86_400 * SECOND
    found = verdict(report(time=NOW - month, scan_at=NOW - month, interval=366 * 86_400, scan_interval=2**62))
    assert (found.state, codes(found)) == ("unverified", ["interval", "interval", "stale"])
    ahead = verdict(report(time=NOW + month, scan_at=NOW, interval=366 * 86_400))
    assert codes(ahead)[:2] == ["clock", "interval"]


def test_a_clock_that_is_less_than_a_minute_off_is_not_worth_a_note() -> None:
    assert codes(verdict(report(clock_offset=60.0))) == codes(verdict(report(clock_offset=-60.0))) == []


def test_reasons_add_up_and_the_worst_leads() -> None:
    found = verdict(
        report(state="drifted", modified=1, logins=2, unreadable=1, degraded=1, time=NOW - 3600 * SECOND, scan_at=0)
    )
    assert found.state == "drifted"
    assert codes(found) == ["drifted", "tainted", "unreadable", "no-scan", "stale", "degraded"]


def test_a_degraded_agent_is_clean_and_says_that_it_only_scans() -> None:
    found = verdict(report(degraded=1))
    assert (found.state, codes(found)) == ("clean", ["degraded"])


def test_an_agent_that_stopped_while_drifted_stays_drifted() -> None:
    found = verdict(report(state="stopped", modified=1))
    assert (found.state, codes(found)) == ("drifted", ["drifted", "stopped"])


class TestTrust:
    def test_an_unknown_image_is_unverified(self) -> None:
        assert codes(verdict(report(image="db@1"), trusted=TRUSTED)) == ["unknown-image"]
        assert (
            verdict(report(image=""), trusted=TRUSTED).reasons[0].text
            == "no trusted manifest of an image without a name"
        )

    def test_no_trusted_manifest_at_all_verifies_nothing(self) -> None:
        assert verdict(report(), trusted={}).state == "unverified"

    @pytest.mark.parametrize(
        ("changed", "code"),
        [
            ({"manifest": OTHER, "observed": OTHER}, "manifest"),
            ({"manifest": ""}, "manifest"),
            ({"manifest": "2:sha256:" + "a" * 64}, "semantics"),
            ({"policy": OTHER}, "policy"),
            ({"observed": "2:sha256:" + "a" * 64}, "semantics"),
        ],
    )
    def test_another_manifest_policy_or_version_is_unverified(self, changed: dict[str, Any], code: str) -> None:
        found = verdict(report(**changed), trusted=TRUSTED)
        assert (found.state, codes(found)) == ("unverified", [code])

    @pytest.mark.parametrize("signature", ["missing", "bad"])
    def test_nothing_is_compared_with_a_manifest_without_a_good_signature(self, signature: Any) -> None:
        unsigned = {"web@1.2": replace(TRUSTED["web@1.2"], signature=signature)}
        assert codes(verdict(report(), trusted=unsigned)) == ["unsigned"]
        found = verdict(drifted(observed=OTHER), trusted=unsigned)
        assert (found.state, codes(found)) == ("unverified", ["drifted", "unsigned"])

    def test_a_good_signature_is_as_good_as_one_that_nobody_asked_for(self) -> None:
        signed = {"web@1.2": replace(TRUSTED["web@1.2"], signature="good")}
        fleet = judge([report()], NOW, signed)
        assert (fleet.verdicts[0].state, fleet.signatures_checked) == ("clean", True)
        assert not judge([report()], NOW, TRUSTED).signatures_checked

    def test_what_an_agent_lists_against_another_manifest_does_not_lead(self) -> None:
        found = verdict(drifted(manifest=OTHER), trusted=TRUSTED)
        assert (found.state, codes(found)) == ("unverified", ["drifted", "manifest"])

    def test_a_login_leads_whatever_the_manifest(self) -> None:
        found = verdict(report(manifest=OTHER, logins=1), trusted=TRUSTED)
        assert (found.state, codes(found)) == ("tainted", ["tainted", "manifest"])

    def test_a_digest_that_does_not_add_up_is_drift_though_nothing_is_listed(self) -> None:
        found = verdict(report(observed=OTHER), trusted=TRUSTED)
        assert (found.state, codes(found)) == ("drifted", ["observed"])

    @pytest.mark.parametrize("listed", ["added", "removed", "modified", "reverted"])
    def test_a_digest_that_differs_with_the_items_listed_adds_no_reason(self, listed: str) -> None:
        counts: dict[str, Any] = {listed: 1}
        assert codes(verdict(report(observed=OTHER, **counts), trusted=TRUSTED)) == ["drifted"]
        assert codes(verdict(report(observed=OTHER, state="drifted"), trusted=TRUSTED)) == ["drifted"]

    def test_what_could_not_be_read_explains_a_digest_that_differs(self) -> None:
        assert codes(verdict(report(observed=OTHER, unreadable=1), trusted=TRUSTED)) == ["unreadable"]

    def test_before_the_first_scan_no_digest_is_missed(self) -> None:
        waiting = report(state="pending", manifest="", policy="", observed="", scan_at=0)
        assert codes(verdict(waiting, trusted=TRUSTED)) == ["pending"]
        assert codes(verdict(waiting)) == ["pending"]
        again = report(state="pending", observed="")
        assert codes(verdict(again, trusted=TRUSTED)) == ["pending"]
        (first,), (second,) = verdict(waiting).reasons, verdict(again).reasons
        assert ("since boot" in first.text, "put right" in second.text) == (True, True)

    def test_what_is_latched_does_not_lead_before_anything_was_compared(self) -> None:
        waiting = report(state="pending", manifest="", policy="", observed="", scan_at=0, reverted=1)
        assert (verdict(waiting, trusted=TRUSTED).state, verdict(waiting).state) == ("unverified", "drifted")


class TestStateReset:
    RESET = Reset("sealed", "1", "2", NOW, new_boot=True)

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            ("seq", "report 7 came twice, with different times"),
            ("sealed", "it was sealed a second time"),
            ("seal", "its sealed digest changed"),
        ],
    )
    def test_a_wiped_memory_does_not_wash_an_instance_clean(self, kind: Any, text: str) -> None:
        found = verdict(report(resets=(Reset(kind, "7 at 1", "7 at 2", NOW, new_boot=True),)))
        assert (found.state, codes(found)) == ("drifted", ["state-reset"])
        assert found.reasons[0].text == f"its agent's memory was wiped or copied: {text}"

    def test_it_leads_even_where_the_manifest_is_not_the_trusted_one(self) -> None:
        assert verdict(report(resets=(self.RESET,), manifest=OTHER), trusted=TRUSTED).state == "drifted"

    def test_only_a_volatile_state_folder_may_seal_anew_and_only_after_a_boot(self) -> None:
        volatile = {"web@1.2": Trusted("web@1.2", DIGEST, TRUSTED["web@1.2"].policy, volatile_state=True)}
        same_boot = Reset("sealed", "1", "2", NOW, new_boot=False)
        twice = Reset("seq", "1", "2", NOW, new_boot=True)
        assert verdict(report(resets=(self.RESET,)), trusted=volatile).state == "clean"
        assert verdict(report(resets=(same_boot,)), trusted=volatile).state == "drifted"
        assert verdict(report(resets=(twice,)), trusted=volatile).state == "drifted"
        assert verdict(report(resets=(self.RESET,)), trusted=TRUSTED).state == "drifted"


class TestNewest:
    def test_the_clock_may_step_back_within_a_seal(self) -> None:
        before = report(seq=8, time=NOW - 100 * SECOND, logins=1)
        assert judge([report(seq=7), before], NOW).verdicts[0].state == "tainted"

    def test_across_seals_the_later_time_counts(self) -> None:
        anew = report(seq=1, sealed=NOW - MINUTE, logins=1)
        assert judge([report(seq=7, time=NOW - 100 * SECOND), anew], NOW).verdicts[0].state == "tainted"


class TestFleet:
    def test_a_terminated_instance_is_counted_and_gone(self) -> None:
        fleet = judge([report("i-1"), report("i-2", state="terminated", modified=3)], NOW)
        assert [one.instance for one in fleet.verdicts] == ["i-1"]
        assert (fleet.terminated, fleet.coverage.expected, fleet.exit_code()) == (1, 1, EXIT_OK)

    def test_a_terminated_instance_that_the_inventory_has_is_held(self) -> None:
        fleet = judge([report(state="terminated")], NOW, expected={"i-1"})
        assert [(one.state, codes(one)) for one in fleet.verdicts] == [("stale", ["terminated"])]
        assert fleet.coverage.fresh == 0

    def test_who_never_reported_is_silent_and_who_was_not_expected_is_noted(self) -> None:
        fleet = judge([report("i-1"), report("i-9")], NOW, expected={"i-1", "i-2"})
        assert [(one.instance, one.state, codes(one)) for one in fleet.verdicts] == [
            ("i-2", "silent", ["silent"]),
            ("i-1", "clean", []),
            ("i-9", "clean", ["unexpected"]),
        ]
        assert (fleet.coverage.expected, fleet.coverage.fresh, fleet.coverage.ratio) == (2, 1, 0.5)

    def test_worst_come_first_then_names(self) -> None:
        fleet = judge(
            [
                report("i-1"),
                report("i-2", state="stopped"),
                report("i-3", unreadable=1),
                report("i-4", logins=1),
                drifted("i-6"),
                drifted("i-5"),
            ],
            NOW,
        )
        assert [one.instance for one in fleet.verdicts] == ["i-5", "i-6", "i-4", "i-3", "i-2", "i-1"]
        assert [state for state, count in fleet.summary().items() if count] == [
            "drifted", "tainted", "unverified", "stale", "clean",
        ]  # fmt: skip
        assert tuple(fleet.summary()) == STATES

    def test_hosts_are_in_the_order_in_which_people_count(self) -> None:
        fleet = judge([report(f"i-{n}", host=f"web-{n}") for n in (10, 9, 2, 11)], NOW)
        assert [one.host for one in fleet.verdicts] == ["web-2", "web-9", "web-10", "web-11"]

    @pytest.mark.parametrize(
        ("reports", "expected", "code"),
        [
            ([report()], None, EXIT_OK),
            ([], None, EXIT_HOLD),
            ([report("i-1"), report("i-2", state="stopped")], None, EXIT_HOLD),
            ([report("i-1", state="stopped"), drifted("i-2")], None, EXIT_RECYCLE),
            ([report(logins=1)], None, EXIT_RECYCLE),
            ([report()], 1, EXIT_OK),
            ([report()], 2, EXIT_HOLD),
        ],
    )
    def test_the_exit_code_tells_the_worst(self, reports: list[DriftReport], expected: int | None, code: int) -> None:
        assert judge(reports, NOW, expected=expected).exit_code() == code

    def test_a_floor_below_one_allows_for_some_that_are_missing(self) -> None:
        fleet = judge([report("i-1"), report("i-2"), report("i-3")], NOW, expected=4)
        assert (fleet.exit_code(floor=0.75), fleet.exit_code(floor=0.8)) == (EXIT_OK, EXIT_HOLD)
