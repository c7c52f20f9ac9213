"""What every store promises, held by each of them: embedded, over HTTP, and real servers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from drift_agent.errors import StoreError
from drift_collector.fleet.read import read_reports
from drift_collector.fleet.verdict import newest_of_each
from drift_collector.server.collector import Collector, Options
from drift_collector.store import open_store
from drift_collector.store.base import DriftReport, Store
from drift_collector.store.lines import Line, read_lines
from drift_collector.store.sqlite_write import SqliteWriter
from reports import NOW, SECOND, item, report
from servers import InfluxQLServer
from stores import lines
from waiting import PATIENCE

EVER = 2**63 - 2


def drift_line(instance: str, time: int, **fields: Any) -> str:
    """A report of a clean host, with those fields."""
    return lines([report(instance, time=time, **fields)])


def item_line(instance: str, set_time: int, number: int, key: str, **fields: Any) -> str:
    """The `number`-th item of the set that began at `set_time`."""
    return lines([], [item(instance, key, time=set_time + number, report=set_time, first_seen=set_time, **fields)])


@dataclass
class Backend:
    """One store, and the way in which lines get there."""

    store: Store
    write: Callable[[Iterable[str]], None]


@pytest.fixture(params=["sqlite", "collector", "influxd1", "influxd2", "opengemini"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    kind: str = request.param
    path = tmp_path / "store.db"
    if kind == "sqlite":
        writer = SqliteWriter(str(path))
        store = open_store(f"sqlite://{path}", {})

        def write(written: Iterable[str]) -> None:
            checked = [line for line in read_lines("\n".join(written), NOW) if isinstance(line, Line)]
            assert not writer.write(checked)

        yield Backend(store, write)
        store.close()
        writer.close()
    elif kind == "collector":
        with Collector(Options(str(path), port=0)) as collector:
            store = open_store(collector.url, {})

            def post(lines: Iterable[str]) -> None:
                body = "\n".join(lines).encode()
                answer = requests.post(f"{collector.url}/write", data=body, timeout=PATIENCE)
                assert answer.status_code == 204, answer.text

            yield Backend(store, post)
            store.close()
    else:
        server: InfluxQLServer = request.getfixturevalue(kind)
        database = server.new_database()
        token = server.headers().get("Authorization", "").removeprefix("Token ")
        store = open_store(
            f"influxdb://127.0.0.1:{server.port}/{database}", {"DRIFTLINE_TOKEN": token} if token else {}
        )
        yield Backend(store, lambda written: server.write(written, database))
        store.close()


def test_an_empty_store_holds_nothing(backend: Backend) -> None:
    assert list(backend.store.newest(NOW - 60 * SECOND, EVER)) == []
    assert list(backend.store.lookback(NOW)) == []


def test_every_field_and_tag_of_a_report_that_is_not_clean_comes_back(backend: Backend) -> None:
    sent = report(
        "i-1", time=NOW, state="drifted", added=1, removed=2, modified=3, reverted=4, logins=5, unreadable=6, seq=7,
        report=NOW - 1024, degraded=1, scan_seconds=1.25, clock_offset=-0.5,
    )  # fmt: skip
    backend.write([lines([sent])])
    assert list(backend.store.newest(NOW - 60 * SECOND, NOW)) == [sent]
    assert list(backend.store.lookback(NOW + 1, ["i-1"])) == [sent]


def test_of_a_clean_report_all_that_a_verdict_needs_comes_back(backend: Backend) -> None:
    sent = report("i-1", time=NOW, seq=3)
    backend.write([lines([sent])])
    (found,) = backend.store.newest(NOW - 60 * SECOND, NOW)
    assert replace(found, agent_version=sent.agent_version, scanned=sent.scanned) == sent


@pytest.mark.parametrize(
    "told",
    [{"added": 5}, {"removed": 1}, {"modified": 1}, {"reverted": 1}, {"logins": 2}, {"unreadable": 1}, {"degraded": 1},
     {"clock_offset": 61.5}, {"clock_offset": -61.5}],
)  # fmt: skip
def test_a_word_of_clean_hides_neither_counts_nor_notes(backend: Backend, told: dict[str, Any]) -> None:
    backend.write([drift_line("i-1", NOW, **told), drift_line("i-2", NOW)])
    found = {report.instance: report for report in backend.store.newest(NOW - 60 * SECOND, EVER)}
    assert {name: getattr(found["i-1"], name) for name in told} == told
    assert not any(getattr(found["i-2"], name) for name in told)


def test_each_instance_has_one_newest_report_within_the_window(backend: Backend) -> None:
    backend.write(drift_line(f"i-{n}", NOW - age * SECOND, seq=100 - age) for n in range(5) for age in (0, 10, 20, 400))
    newest = sorted((report.instance, report.time) for report in backend.store.newest(NOW - 60 * SECOND, EVER))
    assert newest == [(f"i-{n}", NOW) for n in range(5)]
    earlier = {report.time for report in backend.store.newest(NOW - 60 * SECOND, NOW - 5 * SECOND)}
    assert earlier == {NOW - 10 * SECOND}


def test_the_newest_is_told_by_seq_for_clocks_step_back(backend: Backend) -> None:
    backend.write(
        [
            drift_line("i-1", NOW, seq=10, state="clean"),
            drift_line("i-1", NOW - 20 * SECOND, seq=11, state="drifted", modified=1),
        ]
    )
    (found,) = backend.store.newest(NOW - 60 * SECOND, EVER)
    assert (found.seq, found.state, found.modified) == (11, "drifted", 1)


def test_the_newest_is_told_by_time_where_the_seal_is_another(backend: Backend) -> None:
    backend.write(
        [
            drift_line("i-1", NOW - 20 * SECOND, seq=900, state="drifted"),
            drift_line("i-1", NOW, seq=1, sealed=NOW - SECOND, state="clean"),
        ]
    )
    (found,) = backend.store.newest(NOW - 60 * SECOND, EVER)
    assert (found.seq, found.state) == (1, "clean")


def test_a_report_of_the_future_is_found(backend: Backend) -> None:
    backend.write([drift_line("i-1", NOW + 3600 * SECOND)])
    assert [report.time for report in backend.store.newest(NOW, EVER)] == [NOW + 3600 * SECOND]


def test_a_point_that_is_written_twice_is_one(backend: Backend) -> None:
    sent = [drift_line("i-1", NOW, state="drifted", report=NOW - 1024), item_line("i-1", NOW - 1024, 0, "/etc/passwd")]
    backend.write(sent)
    backend.write(sent)
    (found,) = backend.store.newest(NOW - 60 * SECOND, EVER)
    assert len(backend.store.items(found)) == 1
    assert found.resets == ()


def test_lookback_finds_those_that_the_window_lacks(backend: Backend) -> None:
    old = NOW - 5 * 86_400 * SECOND
    backend.write([drift_line("i-old", old - SECOND, seq=1), drift_line("i-old", old, seq=2, state="drifted", added=9)])
    backend.write([drift_line("i-new", NOW)])
    since = NOW - 300 * SECOND
    assert [report.instance for report in backend.store.newest(since, EVER)] == ["i-new"]
    found = {report.instance: report for report in backend.store.lookback(since)}
    assert (found["i-old"].time, found["i-old"].state, found["i-old"].added) == (old, "drifted", 9)
    assert [report.instance for report in backend.store.lookback(since, ["i-old", "i-none"])] == ["i-old"]


def test_lookback_needs_no_newest_before_it(backend: Backend) -> None:
    backend.write([drift_line("i-old", NOW - 900 * SECOND)])
    assert [report.instance for report in backend.store.lookback(NOW)] == ["i-old"]
    assert [report.instance for report in backend.store.lookback(NOW, ["i-old"])] == ["i-old"]


def test_lookback_at_a_named_instance_goes_behind_its_newer_reports(backend: Backend) -> None:
    backend.write([drift_line("i-1", NOW - 900 * SECOND, seq=1), drift_line("i-1", NOW, seq=2)])
    assert [report.seq for report in backend.store.lookback(NOW, ["i-1"])] == [1]


def test_the_items_of_a_report_come_in_the_order_of_their_set(backend: Backend) -> None:
    report_time = NOW - 1024
    backend.write([item_line("i-1", NOW - 5000, 0, "/of/an/earlier/set")])
    backend.write(item_line("i-1", report_time, n, f"/etc/{n}") for n in (2, 0, 1))
    backend.write([item_line("i-2", report_time, 0, "/of/another/instance")])
    backend.write([drift_line("i-1", NOW, state="drifted", report=report_time)])
    (found,) = backend.store.newest(NOW, NOW)
    items = backend.store.items(found)
    assert [item.key for item in items] == ["/etc/0", "/etc/1", "/etc/2"]
    first = items[0]
    assert (first.kind, first.change, first.path_class, first.severity) == ("file", "modified", "frozen", "medium")
    assert (first.expected, first.actual) == ({"sha256": "11"}, {"sha256": "22"})
    assert (first.report, first.first_seen, first.time) == (report_time, report_time, report_time)


def test_a_full_set_of_items_comes_whole(backend: Backend) -> None:
    backend.write(item_line("i-1", NOW, n, f"/etc/{n:04}") for n in range(1_001))
    backend.write([drift_line("i-1", NOW + 2000, state="drifted", report=NOW)])
    (found,) = backend.store.newest(NOW, EVER)
    assert [item.key for item in backend.store.items(found)] == [f"/etc/{n:04}" for n in range(1_001)]


@pytest.mark.parametrize("text", ["a\nb", "C:\\new\\path", '"; DROP MEASUREMENT drift', "/\udcff\udcfe", "é😀\t"])
def test_hostile_strings_come_back_as_they_were(backend: Backend, text: str) -> None:
    backend.write(
        [item_line("i-1", NOW, 0, text, diff=text), drift_line("i-1", NOW, state="drifted", report=NOW, boot_id=text)]
    )
    (found,) = backend.store.newest(NOW, NOW)
    (one,) = backend.store.items(found)
    assert (found.boot_id, one.key, one.diff) == (text, text, text)


@pytest.mark.parametrize("name", ["i'1", 'i"1', "i 1,a=b", "x' OR 'a'='a", "i/é$1", "$i0"])
def test_the_name_of_an_instance_is_never_part_of_a_query(backend: Backend, name: str) -> None:
    backend.write([drift_line(name, NOW, report=NOW), item_line(name, NOW, 0, "/mine")])
    backend.write([drift_line("other", NOW, report=NOW), item_line("other", NOW, 0, "/theirs")])
    (found,) = backend.store.lookback(NOW + 1, [name])
    assert found.instance == name
    assert [item.key for item in backend.store.items(found)] == ["/mine"]


def test_a_second_seal_is_a_sign_of_a_wiped_memory(backend: Backend) -> None:
    backend.write(
        [
            drift_line("i-1", NOW - 20 * SECOND, sealed=5, seq=8),
            drift_line("i-1", NOW, sealed=9, seq=1),
            drift_line("i-2", NOW, sealed=5, seq=8),
            drift_line("i-3", NOW - 20 * SECOND, sealed=0, seq=1, seal=""),
            drift_line("i-3", NOW, sealed=7, seq=2),
        ]
    )
    found = {report.instance: report.resets for report in backend.store.newest(NOW - 60 * SECOND, EVER)}
    assert [(reset.kind, reset.before, reset.after, reset.new_boot) for reset in found["i-1"]] == [
        ("sealed", "5", "9", False)
    ]
    assert found["i-2"] == found["i-3"] == ()


def test_a_second_seal_under_a_new_boot_is_told_apart(backend: Backend) -> None:
    backend.write(
        [
            drift_line("i-1", NOW - 20 * SECOND, sealed=5, seq=8, boot_id="b1"),
            drift_line("i-1", NOW, sealed=9, seq=1, boot_id="b2"),
        ]
    )
    (found,) = backend.store.newest(NOW - 60 * SECOND, EVER)
    assert [(reset.kind, reset.new_boot) for reset in found.resets] == [("sealed", True)]


def test_a_seal_long_ago_is_remembered(backend: Backend) -> None:
    backend.write([drift_line("i-1", NOW - 3 * 86_400 * SECOND, sealed=5, seq=8, state="drifted")])
    backend.write([drift_line("i-1", NOW, sealed=9, seq=1)])
    (found,) = backend.store.newest(NOW - 60 * SECOND, EVER)
    assert [reset.kind for reset in found.resets] == ["sealed"]


def test_a_seq_that_comes_twice_is_a_sign_of_a_copied_memory(backend: Backend) -> None:
    backend.write([drift_line("i-1", NOW - 20 * SECOND, seq=8), drift_line("i-1", NOW, seq=8)])
    (found,) = backend.store.newest(NOW - 60 * SECOND, EVER)
    assert [reset.kind for reset in found.resets] == ["seq"]


def newest_of(backend: Backend) -> DriftReport:
    """What is read of the one instance that the store has, by the way that a report takes."""
    (found,) = newest_of_each(read_reports(backend.store, NOW))
    return found


def kinds(backend: Backend) -> set[str]:
    return {reset.kind for reset in newest_of(backend).resets}


def listing(report: DriftReport) -> str:
    """A report that is not clean, and its item set."""
    return lines([report], [item(report.instance, time=report.time, report=report.time)])


UNSEALED = {"sealed": 0, "seal": "", "state": "pending"}


def test_a_memory_that_begins_anew_and_is_not_sealed_yet_is_another(backend: Backend) -> None:
    backend.write([drift_line("i-1", NOW - 3000 * SECOND, seq=1, **UNSEALED)])
    backend.write(drift_line("i-1", NOW - (2900 - n) * SECOND, seq=n, sealed=5, state="drifted") for n in range(2, 9))
    backend.write([drift_line("i-1", NOW - 20 * SECOND, seq=1, **UNSEALED)])
    backend.write([drift_line("i-1", NOW, seq=2, sealed=0, seal="", state="clean")])
    assert newest_of(backend).sealed == 0
    assert [(reset.kind, reset.new_boot) for reset in newest_of(backend).resets] == [("start", False)]


def test_a_volatile_memory_begins_anew_with_a_new_boot(backend: Backend) -> None:
    backend.write([drift_line("i-1", NOW - 3000 * SECOND, seq=1, boot_id="b1", **UNSEALED)])
    backend.write([drift_line("i-1", NOW - 2900 * SECOND, seq=2, boot_id="b1", sealed=5)])
    backend.write([drift_line("i-1", NOW - 20 * SECOND, seq=1, boot_id="b2", **UNSEALED)])
    assert all(reset.new_boot for reset in newest_of(backend).resets)
    assert kinds(backend) == {"start"}
    backend.write([drift_line("i-1", NOW, seq=2, boot_id="b2", sealed=9)])
    assert all(reset.new_boot for reset in newest_of(backend).resets)


@pytest.mark.parametrize("said", [{"state": "drifted", "reverted": 1}, {"state": "tainted", "logins": 1}])
@pytest.mark.parametrize("ago", [40, 30 * 86_400])
def test_what_is_latched_and_forgotten_is_a_sign(backend: Backend, said: dict[str, Any], ago: int) -> None:
    backend.write([drift_line("i-1", NOW - (ago + 60) * SECOND, seq=7, sealed=5)])
    backend.write([listing(report("i-1", time=NOW - ago * SECOND, seq=8, sealed=5, **said))])
    backend.write([drift_line("i-1", NOW, seq=9, sealed=5)])
    assert kinds(backend) == {"latch"}


def test_a_seal_whose_digest_changed_and_changed_back_is_a_sign(backend: Backend) -> None:
    for seq, seal in enumerate(("s", "other", "s"), start=7):
        backend.write([drift_line("i-1", NOW - (9 - seq) * 20 * SECOND, seq=seq, sealed=5, seal=seal)])
    assert kinds(backend) == {"seal"}


def test_a_memory_that_was_set_back_long_ago_is_not_forgiven(backend: Backend) -> None:
    def times(seq: int, ago: int) -> DriftReport:
        state: dict[str, Any] = {"state": "drifted", "modified": 1} if ago > 1000 and seq >= 8 else {}
        return report("i-1", time=NOW - ago * SECOND, seq=seq, sealed=5, **state)

    before = [times(seq, 2000 - seq * 60) for seq in range(1, 11)]
    backend.write(listing(one) if one.modified else lines([one]) for one in before)
    backend.write(lines([times(seq, 780 - (seq - 8) * 60)]) for seq in range(8, 21))
    assert "latch" in kinds(backend)


def test_a_second_seal_is_seen_of_those_that_report_rarely(backend: Backend) -> None:
    slow: dict[str, Any] = {"interval": 600}
    backend.write([drift_line("i-1", NOW - 2400 * SECOND, seq=40, sealed=5, **slow)])
    backend.write([drift_line("i-1", NOW - 400 * SECOND, seq=2, sealed=9, **slow)])
    assert kinds(backend) == {"sealed"}


def test_the_newest_of_those_that_report_rarely_is_told_by_seq(backend: Backend) -> None:
    backend.write([drift_line("i-1", NOW - 400 * SECOND, seq=10, interval=600)])
    backend.write([drift_line("i-1", NOW - 700 * SECOND, seq=11, interval=600, state="drifted", modified=1)])
    assert (newest_of(backend).seq, newest_of(backend).modified) == (11, 1)


def test_a_clock_that_steps_back_before_the_seal_hides_nothing_of_what_follows(backend: Backend) -> None:
    backend.write([drift_line("i-1", NOW + 3600 * SECOND, seq=1, **UNSEALED)])
    backend.write([drift_line("i-1", NOW - 60 * SECOND, seq=2, **UNSEALED)])
    backend.write([drift_line("i-1", NOW, seq=3)])
    assert newest_of(backend).seq == 3
    assert kinds(backend) == set()


def honest(backend: Backend, told: Sequence[DriftReport]) -> None:
    """No sign of anything in these reports, whatever the order in which they arrive."""
    for order in (told, told[::-1]):
        renamed = [replace(one, instance=f"i-{order is told}") for one in order]
        for one in renamed:
            backend.write([lines([one]) if one.state in ("clean", "pending") else listing(one)])
    found = newest_of_each(read_reports(backend.store, NOW))
    assert [one.resets for one in found] == [(), ()]


DRIFTED: dict[str, Any] = {"state": "drifted", "modified": 1}


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(
            [UNSEALED, {}, {**UNSEALED, "sealed": 5, "seal": "s"}, {}, {"state": "stopped"}, {}], id="restart"
        ),
        pytest.param([UNSEALED, {**UNSEALED, **DRIFTED}, UNSEALED, {}, {}], id="drift before the seal, gone at it"),
        pytest.param([UNSEALED, {}, DRIFTED, {**DRIFTED, "state": "pending"}, DRIFTED], id="restart while drifted"),
        pytest.param([UNSEALED, {}, {"boot_id": "b2"}, {"boot_id": "b2", "state": "terminated"}], id="reboot and end"),
        pytest.param([UNSEALED, {**UNSEALED, "boot_id": "b2"}, {"boot_id": "b2"}], id="reboot before the seal"),
        pytest.param(
            [{}, {"state": "tainted", "logins": 1}, DRIFTED, {"state": "unverified"}], id="login, drift, fault"
        ),
        pytest.param([UNSEALED, {}, {"at": -900}, {}, {"at": -60}, {}, {}], id="the clock steps back"),
    ],
)
def test_an_honest_history_shows_no_sign(backend: Backend, told: list[dict[str, Any]]) -> None:
    time = NOW - 200 * SECOND
    reports = []
    for number, each in enumerate(told, start=1):
        changed = {"sealed": 5, "seal": "s", **each}
        time += (changed.pop("at", 0) + 10) * SECOND
        reports.append(report(time=time, seq=number, **changed))
    honest(backend, reports)


def test_closing_twice_is_no_error(backend: Backend) -> None:
    backend.store.close()
    backend.store.close()


def test_an_influxdb_without_the_database_says_how_to_make_it(influxd1: InfluxQLServer) -> None:
    store = open_store(f"influxdb://127.0.0.1:{influxd1.port}/nowhere", {})
    with pytest.raises(StoreError, match=r"no database 'nowhere'.*drift store init influxdb://127.0.0.1:\d+/nowhere"):
        list(store.newest(0, EVER))
