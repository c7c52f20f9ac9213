"""Which request each server wants."""

import pytest

from drift_agent.config import OutputOptions
from drift_agent.ship.influx import Answer, Server, authorization, server_of, write_path

URL = "http://influxdb.example:8086"


@pytest.mark.parametrize(
    ("answer", "server"),
    [
        (Answer(204, {"x-influxdb-version": "1.6.7~rc0"}, b""), Server("1.6.7~rc0")),
        (Answer(204, {"x-influxdb-version": "v2.7.12", "x-influxdb-build": "OSS"}, b""), Server("v2.7.12")),
        (Answer(204, {"x-geminidb-version": "1.5.2"}, b""), Server("1.5.2")),
        (Answer(200, {"content-type": "application/json"}, b'{"version": "3.9.6"}'), Server("3.9.6", is_v3=True)),
        (Answer(200, {}, b'{"version": 3}'), Server()),
        (Answer(401, {}, b""), Server()),
        (Answer(200, {}, b"<html>"), Server()),
    ],
)
def test_a_probe_tells_what_stands_there(answer: Answer, server: Server) -> None:
    assert server_of(answer) == server


def test_without_an_org_the_write_of_version_1_is_used() -> None:
    assert write_path(OutputOptions(url=URL, database="a b&c"), Server()) == "/write?db=a+b%26c&precision=ns"
    assert write_path(OutputOptions(url=URL, bucket="b"), Server("v2.7.12")) == "/write?db=b&precision=ns"


def test_with_an_org_the_write_of_version_2_is_used() -> None:
    options = OutputOptions(url=URL, org="ö", bucket="b", database="d")
    assert write_path(options, Server("v2.7.12")) == "/api/v2/write?org=%C3%B6&bucket=b&precision=ns"
    assert "bucket=d" in write_path(OutputOptions(url=URL, org="o", database="d"), Server())


def test_version_3_is_written_on_its_own_path_whatever_is_configured() -> None:
    path = "/api/v3/write_lp?db=b&precision=nanosecond&accept_partial=true"
    assert write_path(OutputOptions(url=URL, org="o", bucket="b"), Server("3.9.6", is_v3=True)) == path


def test_credentials_are_a_token_or_name_and_password() -> None:
    assert authorization(OutputOptions(url=URL), "") == ""
    assert authorization(OutputOptions(url=URL), "t") == "Token t"
    assert authorization(OutputOptions(url=URL, username="ü"), "p:w") == "Basic w7w6cDp3"
