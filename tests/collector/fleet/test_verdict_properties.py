"""What holds of every verdict, whatever hosts say."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_collector.fleet.model import HELD, RECYCLED, STATES
from drift_collector.fleet.rules import freshness
from drift_collector.fleet.verdict import judge
from drift_collector.store.base import DriftReport, Reset
from reports import DIGEST, NOW, POLICY, SECOND, TRUSTED, report

RANK = {state: rank for rank, state in enumerate(STATES)}
INT64 = st.integers(-(2**63), 2**63 - 1)
COUNT = st.sampled_from([0, 0, 0, 1, 2]) | INT64
DIGESTS = st.sampled_from([DIGEST, DIGEST, POLICY, "2:sha256:" + "a" * 64, ""]) | st.text(max_size=5)
AGENT_STATES = st.sampled_from(
    ["clean", "clean", "drifted", "tainted", "pending", "unverified", "stopped", "terminated"]
)
TIMES = st.integers(NOW - 3000 * SECOND, NOW + 200 * SECOND) | INT64
RESETS = st.builds(
    Reset, st.sampled_from(["seq", "sealed", "seal"]), st.just("1"), st.just("2"), st.just(NOW), st.booleans()
)
REPORTS = st.builds(
    report,
    st.sampled_from(["i-1", "i-2", "i-3", ""]),
    time=TIMES,
    host=st.text(max_size=5),
    image=st.sampled_from(["web@1.2", "web@1.2", "db@1", ""]),
    state=AGENT_STATES | st.text(max_size=5),
    manifest=DIGESTS,
    observed=DIGESTS,
    policy=st.just(POLICY) | DIGESTS,
    added=COUNT,
    reverted=COUNT,
    logins=COUNT,
    unreadable=COUNT,
    seq=st.integers(0, 3) | INT64,
    sealed=st.sampled_from([0, NOW - 7200 * SECOND, NOW - 60 * SECOND]),
    since=TIMES,
    scan_at=TIMES,
    interval=st.sampled_from([1, 60]) | INT64,
    scan_interval=st.just(900) | INT64,
    degraded=COUNT,
    clock_offset=st.floats(allow_nan=False),
    resets=st.lists(RESETS, max_size=2).map(tuple),
)
TRUST = st.sampled_from([None, TRUSTED])
FLEETS = st.lists(REPORTS, max_size=5)


@given(FLEETS, TRUST, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_matters(reports: list[DriftReport], trusted: Any, random: Any) -> None:
    shuffled = [*reports, *random.sample(reports, len(reports))]
    random.shuffle(shuffled)
    assert judge(shuffled, NOW, trusted) == judge(reports, NOW, trusted)


@given(FLEETS, TRUST)
def test_every_instance_has_one_verdict_or_is_terminated(reports: list[DriftReport], trusted: Any) -> None:
    fleet = judge(reports, NOW, trusted)
    named = [verdict.instance for verdict in fleet.verdicts]
    assert len(named) == len(set(named))
    assert len(named) + fleet.terminated == len({one.instance for one in reports})
    assert sum(fleet.summary().values()) == len(named)


@given(FLEETS, TRUST)
def test_the_worst_of_the_reasons_leads_and_worst_comes_first(reports: list[DriftReport], trusted: Any) -> None:
    fleet = judge(reports, NOW, trusted)
    for verdict in fleet.verdicts:
        spoken = [reason.state for reason in verdict.reasons if reason.state]
        assert verdict.state == min(spoken, key=RANK.__getitem__, default="clean")
    ranks = [RANK[verdict.state] for verdict in fleet.verdicts]
    assert ranks == sorted(ranks)


@given(REPORTS, TRUST)
def test_clean_is_only_who_is_known_to_be(one: DriftReport, trusted: Any) -> None:
    fleet = judge([one], NOW, trusted)
    if not fleet.verdicts or fleet.verdicts[0].state != "clean":
        return
    assert one.state == "clean"
    assert one.instance
    assert max(one.added, one.removed, one.modified, one.reverted, one.logins, one.unreadable) <= 0
    assert -max(one.interval, 1) * SECOND <= NOW - one.time <= freshness(one)
    assert one.scan_at > 0
    assert one.time - one.scan_at <= 2 * one.scan_interval * SECOND
    assert not one.resets
    if trusted is None:
        assert one.observed == one.manifest != ""
    else:
        assert one.observed == one.manifest == trusted[one.image].digest
        assert one.policy == trusted[one.image].policy


@pytest.mark.parametrize(
    "worse",
    [
        {"logins": 1},
        {"added": 1},
        {"resets": (Reset("seal", "1", "2", NOW, new_boot=False),)},
        {"state": "stopped"},
        {"scan_at": 0},
        {"unreadable": 1},
    ],
)
@given(REPORTS)
def test_one_finding_more_never_makes_a_verdict_better(worse: dict[str, Any], one: DriftReport) -> None:
    if one.state == "terminated" or ("state" in worse and one.state != "clean"):
        return  # no verdict; or another word takes the place of the first, and that is no finding more
    (before,) = judge([one], NOW).verdicts
    (after,) = judge([replace(one, **worse)], NOW).verdicts
    assert RANK[after.state] <= RANK[before.state]


@given(REPORTS, st.integers(0, 2**62))
def test_nothing_grows_fresher_with_time(one: DriftReport, later: int) -> None:
    def is_stale(now: int) -> bool:
        return any(
            reason.code in ("stale", "stopped") for fleet in judge([one], now).verdicts for reason in fleet.reasons
        )

    assert not is_stale(NOW) or is_stale(NOW + later)


@given(FLEETS, TRUST)
def test_the_exit_code_is_that_of_the_worst_state(reports: list[DriftReport], trusted: Any) -> None:
    fleet = judge(reports, NOW, trusted)
    states = {verdict.state for verdict in fleet.verdicts}
    expected = 2 if states & RECYCLED else 3 if states & HELD or not states else 0
    assert fleet.exit_code() == expected


@given(FLEETS)
def test_trust_never_makes_a_verdict_better_but_where_it_unmakes_drift(reports: list[DriftReport]) -> None:
    """Compared with something untrusted, an agent's drift is held and not recycled; nothing else improves."""
    believed = {one.instance: one for one in judge(reports, NOW).verdicts}
    for verdict in judge(reports, NOW, TRUSTED).verdicts:
        if RANK[verdict.state] > RANK[believed[verdict.instance].state]:
            assert believed[verdict.instance].state == "drifted"
            assert verdict.state in ("tainted", "unverified")
            assert any(reason.code == "drifted" and reason.state is None for reason in verdict.reasons)
