"""The whole way from `put` to what a real server stores."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from drift_agent.clock import SystemClock
from drift_agent.config import OutputOptions, SpoolOptions
from drift_agent.ship.sender import Sender
from drift_agent.ship.shipper import Shipping, phase
from drift_agent.ship.spool import Spool
from servers import Influxd1, Influxd2, InfluxQLServer, VictoriaMetrics, free_port
from stub_influx import StubInflux, silence
from waiting import PATIENCE, wait_until

T0 = 1_700_000_000_000_000_000


def lines(count: int, measurement: str = "cpu", start: int = 0) -> list[str]:
    return [f'{measurement},host=a value={n}.5,note="n {n}" {T0 + n}' for n in range(start, start + count)]


@contextmanager
def shipping(
    folder: Path, outputs: Sequence[OutputOptions], interval: float = 0.05
) -> Iterator[tuple[Spool, Shipping]]:
    spool = Spool.open(folder / "spool.db", SpoolOptions(), outputs, SystemClock())
    shipper = Shipping(spool, outputs, interval, "i-1", SystemClock())
    shipper.start()
    try:
        yield spool, shipper
    finally:
        shipper.stop(0)
        spool.close()


def stored(server: InfluxQLServer, database: str, measurement: str = "cpu") -> int:
    rows = server.rows(f'SELECT count("value") FROM "{measurement}"', database)
    return int(rows[0]["count"]) if rows else 0


def test_what_is_put_is_stored_by_influxdb_1(tmp_path: Path, influxd1: Influxd1) -> None:
    database = influxd1.new_database()
    with shipping(tmp_path, [OutputOptions(url=influxd1.url, database=database)]) as (spool, shipper):
        spool.put({"metrics": lines(7000), "drift": lines(3, "drift")})
        shipper.notify("drift")
        assert shipper.stop(PATIENCE)
        status = shipper.status()
        assert status["outputs"][0]["written"] == 7003
        assert status["outputs"][0]["server"].startswith("1.")
        assert status["spool"]["lanes"]["metrics"] == {"points": 0, "bytes": 0, "oldest": None}
        assert abs(shipper.clock_offset()) < PATIENCE  # this machine's own, but for how long an answer lay unread
    assert (stored(influxd1, database), stored(influxd1, database, "drift")) == (7000, 3)


def test_with_an_org_it_is_stored_by_influxdb_2(tmp_path: Path, influxd2: Influxd2) -> None:
    bucket, token = influxd2.new_database(), influxd2.new_token("write")
    options = OutputOptions(url=influxd2.url, org=influxd2.org, bucket=bucket, token=token)
    with shipping(tmp_path, [options]) as (spool, shipper):
        spool.put({"metrics": lines(10)})
        assert shipper.stop(PATIENCE)
    assert stored(influxd2, bucket) == 10


def test_without_an_org_influxdb_2_takes_the_writes_of_version_1(tmp_path: Path, influxd2: Influxd2) -> None:
    bucket, token = influxd2.new_database(), influxd2.new_token("write")
    with shipping(tmp_path, [OutputOptions(url=influxd2.url, database=bucket, token=token)]) as (spool, shipper):
        spool.put({"metrics": lines(10)})
        assert shipper.stop(PATIENCE)
    assert stored(influxd2, bucket) == 10


def test_victoria_metrics_takes_both_forms(tmp_path: Path, victoria_metrics: VictoriaMetrics) -> None:
    now = time.time_ns()
    for org, measurement in (("", "vm_v1"), ("any", "vm_v2")):
        (tmp_path / measurement).mkdir()
        with shipping(tmp_path / measurement, [OutputOptions(url=victoria_metrics.url, org=org)]) as (spool, shipper):
            spool.put({"metrics": [f"{measurement},host=a value=1 {now}"]})
            assert shipper.stop(PATIENCE)
        selector = f'{{__name__="{measurement}_value"}}'
        wait_until(lambda selector=selector: len(victoria_metrics.series(selector)) == 1, what=measurement)  # type: ignore[misc]


def test_a_server_that_is_down_at_the_start_holds_up_nothing(tmp_path: Path, fresh_influxd1: Influxd1) -> None:
    database = fresh_influxd1.new_database()
    fresh_influxd1.stop()
    with shipping(tmp_path, [OutputOptions(url=fresh_influxd1.url, database=database)]) as (spool, shipper):
        spool.put({"metrics": lines(100)})
        wait_until(lambda: shipper.status()["outputs"][0]["last_error"] == "connection refused")
        fresh_influxd1.start()
        wait_until(lambda: shipper.status()["outputs"][0]["written"] == 100)
    assert stored(fresh_influxd1, database) == 100


def test_an_output_that_is_down_does_not_hold_up_another(tmp_path: Path, influxd1: Influxd1) -> None:
    database = influxd1.new_database()
    dead = OutputOptions(url=f"http://127.0.0.1:{free_port()}")
    with shipping(tmp_path, [dead, OutputOptions(url=influxd1.url, database=database)]) as (spool, shipper):
        spool.put({"metrics": lines(10)})
        wait_until(lambda: shipper.status()["outputs"][1]["written"] == 10)
        assert shipper.status()["outputs"][0]["waiting"] == {"metrics": 10}
    assert stored(influxd1, database) == 10


def test_each_output_gets_its_own_lanes(tmp_path: Path, influxd1: Influxd1) -> None:
    drift, metrics = influxd1.new_database(), influxd1.new_database()
    outputs = [
        OutputOptions(url=influxd1.url, name="a", database=drift, lanes=("drift",)),
        OutputOptions(url=influxd1.url, name="b", database=metrics, lanes=("metrics",)),
    ]
    with shipping(tmp_path, outputs) as (spool, shipper):
        spool.put({"drift": lines(3, "drift"), "metrics": lines(10), "logs": lines(5, "logs")})
        assert shipper.stop(PATIENCE)
        assert [output["written"] for output in shipper.status()["outputs"]] == [3, 10]
    assert (stored(influxd1, drift, "drift"), stored(influxd1, drift)) == (3, 0)
    assert (stored(influxd1, metrics, "drift"), stored(influxd1, metrics)) == (0, 10)


def test_a_stop_with_the_server_down_is_prompt_and_keeps_everything(tmp_path: Path) -> None:
    outputs = [OutputOptions(url=f"http://127.0.0.1:{free_port()}")]
    with shipping(tmp_path, outputs) as (spool, shipper):
        spool.put({"metrics": lines(10)})
        wait_until(lambda: shipper.status()["outputs"][0]["last_error"] is not None)
        begin = time.monotonic()
        assert not shipper.stop(2 * PATIENCE)
        assert time.monotonic() - begin < PATIENCE
    spool = Spool.open(tmp_path / "spool.db", SpoolOptions(), outputs, SystemClock())
    assert spool.stats().lanes["metrics"].points == 10
    spool.close()


def test_a_new_password_is_used_as_soon_as_its_file_has_it(tmp_path: Path, influxd1_auth: Influxd1) -> None:
    database, password = influxd1_auth.new_database(), tmp_path / "password"
    password.write_text("wrong")
    options = OutputOptions(
        url=influxd1_auth.url, database=database, username=influxd1_auth.username, password_file=str(password)
    )
    with shipping(tmp_path, [options]) as (spool, shipper):
        spool.put({"metrics": lines(10)})
        wait_until(lambda: "401" in str(shipper.status()["outputs"][0]["last_error"]))
        password.write_text(influxd1_auth.password)
        wait_until(lambda: shipper.status()["outputs"][0]["written"] == 10)


def test_a_stop_cuts_an_exchange_that_gets_no_answer(tmp_path: Path) -> None:
    with StubInflux(silence) as server, shipping(tmp_path, [OutputOptions(url=server.url)]) as (spool, shipper):
        spool.put({"metrics": lines(10)})
        wait_until(lambda: len(server.writes) == 1)
        assert not shipper.stop(0.5)
        assert len(server.writes) == 1
        wait_until(lambda: not [one for one in threading.enumerate() if one.name.startswith("ship-")], what="the end")
        assert shipper.status()["outputs"][0]["last_error"] == "the agent stops"


def test_a_sender_that_fails_by_a_fault_of_ours_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()
    spool = Spool.open(tmp_path / "spool.db", SpoolOptions(), [OutputOptions(url="http://127.0.0.1:1")], SystemClock())

    def fault(*_: object) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(Sender, "step", fault)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    shipper = Shipping(spool, [OutputOptions(url="http://127.0.0.1:1")], 0.05, "i-1", SystemClock(), failed=failed.set)
    shipper.start()
    assert failed.wait(PATIENCE)
    shipper.stop(0)
    spool.close()


def test_the_phase_spreads_a_fleet_over_the_interval_and_never_changes() -> None:
    phases = [phase(f"i-{n}", 10) for n in range(1000)]
    assert phases == [phase(f"i-{n}", 10) for n in range(1000)]
    assert [sum(1 for p in phases if slot <= p < slot + 2) > 150 for slot in (0, 2, 4, 6, 8)] == [True] * 5
