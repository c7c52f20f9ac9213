"""Access logs: every request counted once, under the verb, status and route that it has."""

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift_agent.line_protocol import Encoder
from drift_agent.logs.access import AccessLog, Routes, percentiles
from drift_agent.logs.access_format import NAMED, compile_format
from drift_agent.logs.handler import Counts
from drift_agent.logs.lines import Chunk
from drift_agent.logs.measurements import MEASUREMENTS
from drift_agent.logs.stamps import Stamps
from drift_agent.model import Point

NOW = 1_700_000_000_000_000_000
COMBINED = '203.0.113.9 - frank [23/Nov/2026:05:01:29 +0000] "{}" {} {} "http://a.example/?q=\\x22" "curl/7 (a; b)"'


def read(text: str, form: str = "nginx-combined", routes: Mapping[str, str] | None = None) -> list[Point]:
    handler = AccessLog("web", compile_format(form), Routes(routes or {}), Counts(), Stamps())
    handler.feed(Chunk(text.encode("utf-8", "surrogateescape"), 0, 0, "access"), NOW)
    return handler.points(NOW)


def requests(points: list[Point]) -> dict[tuple[str, str, str], int]:
    return {
        (point.tags["verb"], point.tags["status"], point.tags["route"]): int(point.fields["requests"])
        for point in points
        if point.measurement == "access"
    }


def test_requests_and_bytes_by_verb_and_status() -> None:
    lines = [
        COMBINED.format("GET / HTTP/1.1", 200, 100),
        COMBINED.format("GET /x HTTP/1.1", 204, 0),
        COMBINED.format("POST /y HTTP/2.0", 503, 7),
        COMBINED.format("GET /a b HTTP/1.1", 400, 1),
    ]
    points = read("\n".join(lines) + "\n")
    assert requests(points) == {("GET", "2xx", "other"): 2, ("POST", "5xx", "other"): 1, ("GET", "4xx", "other"): 1}
    assert {point.fields["bytes"] for point in points} == {100, 7, 1}
    assert {point.tags["log"] for point in points} == {"web"}


@pytest.mark.parametrize("asked", ["-", "", "\\x16\\x03\\x01", "BREW /pot HTTP/1.1", "get / HTTP/1.1", 'GE\\"T / x'])
def test_whatever_was_asked_for_is_a_request(asked: str) -> None:
    assert requests(read(COMBINED.format(asked, 400, 0) + "\n")) == {("OTHER", "4xx", "other"): 1}


@pytest.mark.parametrize("form", NAMED)
def test_the_named_formats(form: str) -> None:
    line = '::1 - - [23/Nov/2026:05:01:29 +0000] "HEAD /x HTTP/1.1" 301 -'
    if form != "apache-common":
        line += ' "-" "-"'
    if form.endswith("time"):
        line += " 0.125"
    points = read(line + "\n", form)
    assert requests(points) == {("HEAD", "3xx", "other"): 1}
    assert points[0].fields["bytes"] == 0
    assert points[0].fields.get("time_p50") == (0.125 if form.endswith("time") else None)


def test_a_log_format_of_ones_own() -> None:
    form = '$remote_addr|$msec|$request_method $uri|${status}|$request_time|"$http_user_agent"|$bytes_sent'
    line = '10.0.0.1|1795410089.123|PUT /up?x=1|201|0.031|"a \\"b\\" c|d"|512\n'
    (access, *histogram) = read(line, form)
    assert access.tags == {"log": "web", "verb": "PUT", "status": "2xx", "route": "other"}
    assert access.fields == {"requests": 1, "bytes": 512, "time_p50": 0.031, "time_p95": 0.031, "time_p99": 0.031}
    assert [point.tags["le"] for point in histogram] == ["0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]


@pytest.mark.parametrize("form", ["$remote_addr", "$status$request", "$foo$status"])
def test_a_log_format_that_says_nothing_or_cannot_be_split(form: str) -> None:
    if form == "$status$request":
        assert compile_format(form).pattern.groups == 4
        return
    with pytest.raises(ValueError, match=r"must hold|followed at once"):
        compile_format(form)


def test_routes_are_groups_of_paths_and_never_the_raw_url() -> None:
    routes = {"api": r"/api/v\d+/", "assets": r".*\.(css|js)$"}
    lines = [
        COMBINED.format(f"GET {path} HTTP/1.1", 200, 1) for path in ("/api/v2/u?x", "/a.css?v=1", "/u.php", "/api/")
    ]
    assert requests(read("\n".join(lines) + "\n", routes=routes)) == {
        ("GET", "2xx", "api"): 1,
        ("GET", "2xx", "assets"): 1,
        ("GET", "2xx", "other"): 2,
    }


def test_histograms_are_cumulative_and_have_few_tags() -> None:
    form = "nginx-combined-time"
    lines = [COMBINED.format("GET / HTTP/1.1", 200, 1) + f" {time}" for time in ("0.004", "0.2", "30.0", "-")]
    points = [point for point in read("\n".join(lines) + "\n", form) if point.measurement == "access_time"]
    assert all(set(point.tags) == {"log", "route", "le"} for point in points)
    counts = {point.tags["le"]: point.fields["requests"] for point in points}
    assert counts["0.005"] == counts["0.1"] == 1
    assert counts["0.25"] == counts["10"] == 2
    assert counts["+Inf"] == 3


def test_percentiles_are_times_that_were_measured() -> None:
    assert percentiles([float(n) for n in range(1, 101)]) == {"time_p50": 50.0, "time_p95": 95.0, "time_p99": 99.0}
    assert percentiles([0.5]) == {"time_p50": 0.5, "time_p95": 0.5, "time_p99": 0.5}


def test_only_what_happened_in_the_interval_is_sent() -> None:
    handler = AccessLog("", compile_format("nginx-combined"), Routes({}), Counts(), Stamps())
    handler.feed(Chunk((COMBINED.format("GET / HTTP/1.1", 200, 1) + "\n").encode(), 0, 0, "access"), NOW)
    assert len(handler.points(NOW)) == 1
    assert handler.points(NOW) == []


def test_lines_of_another_format_are_counted() -> None:
    counts = Counts()
    handler = AccessLog("", compile_format("nginx-combined"), Routes({}), counts, Stamps())
    handler.feed(Chunk(b"garbage\n\nmore\n" + COMBINED.format("GET / H", 200, 1).encode() + b"\n", 0, 0, "a"), NOW)
    handler.feed(Chunk(b"\n\n\ngarbage\n\n\n", 0, 0, "a"), NOW)
    assert (counts.lines, counts.unparsed) == (4, 3)


def test_blank_lines_are_no_requests_even_where_the_format_may_be_empty() -> None:
    assert requests(read("\nGET / HTTP/1.1\n\nPOST /x HTTP/1.1\n", "$request")) == {
        ("GET", "none", "other"): 1,
        ("POST", "none", "other"): 1,
    }


def test_a_section_makes_a_bounded_number_of_series() -> None:
    counts = Counts()
    handler = AccessLog("", compile_format("apache-common"), Routes({}), counts, Stamps())
    line = b'h - - [t] "GET / HTTP/1.1" 200 1\n'
    for number in range(1200):
        handler.feed(Chunk(line, 0, 0, f"log{number}"), NOW)
    points = handler.points(NOW)
    total = Counter({"requests": sum(int(point.fields["requests"]) for point in points)})
    assert total["requests"] == 1200
    assert len({point.tags["log"] for point in points}) == 1001
    assert counts.folded == 200


ODD_LINES = st.one_of(
    st.text(max_size=80),
    st.builds(COMBINED.format, st.text(max_size=30), st.integers(), st.text(max_size=9)),
)


@given(st.lists(ODD_LINES, max_size=20))
@settings(deadline=None)
def test_no_line_breaks_it_and_every_line_is_counted(lines: list[str]) -> None:
    """Each is a request or unparsed, and what leaves can be encoded and fits its declaration."""
    text = "\n".join(line.replace("\n", "") for line in lines) + "\n"
    data = text.encode("utf-8", "surrogatepass")
    for form in (*NAMED, '$http_a "$request" $status'):
        counts = Counts()
        handler = AccessLog("", compile_format(form), Routes({"r": "/r"}), counts, Stamps())
        handler.feed(Chunk(data, 0, 0, "a"), NOW)
        points = handler.points(NOW)
        found = sum(int(point.fields["requests"]) for point in points if point.measurement == "access")
        assert counts.lines == sum(1 for line in data.split(b"\n") if line) == found + counts.unparsed
        for point in points:
            Encoder().line(MEASUREMENTS[point.measurement].conform(point))
