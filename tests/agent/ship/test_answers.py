"""What answers mean. The recorded ones are real servers' own words; `test_outcomes.py` asks the servers themselves."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.ship.answers import (
    Acked,
    BadBody,
    Later,
    NamedLines,
    Outcome,
    Refused,
    SomeDropped,
    TooLarge,
    classify,
)
from drift_agent.ship.influx import Answer, Server

V1 = Server("1.8.10")
V3 = Server("3.9.6", is_v3=True)
UNKNOWN = Server()
NOW = 1_700_000_000_000_000_000  # Tue, 14 Nov 2023 22:13:20 GMT
HEADERS = {"x-influxdb-version": "1.8.10", "date": "Tue, 14 Nov 2023 22:13:20 GMT"}


def outcome(
    status: int,
    body: object = b"",
    headers: dict[str, str] | None = None,
    lines: tuple[bytes, ...] = (b"m v=1 1",),
    server: Server = V1,
) -> Outcome:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify(Answer(status, HEADERS if headers is None else headers, raw), lambda: lines, server, NOW)


@pytest.mark.parametrize("name", ["x-influxdb-version", "x-geminidb-version", "date"])
def test_a_whole_204_is_an_ack(name: str) -> None:
    assert outcome(204, headers={name: "x"}, server=UNKNOWN) == Acked()


def test_a_204_whose_header_was_cut_off_is_none() -> None:
    assert isinstance(outcome(204, headers={}), Later)


def test_a_204_of_something_else_in_the_place_of_the_server_is_none() -> None:
    assert isinstance(outcome(204, headers={"date": "x"}, server=V1), Later)


def test_a_200_is_an_ack_from_version_3_alone() -> None:
    json_headers = {**HEADERS, "content-type": "application/json"}
    assert outcome(200, {"ok": True}, json_headers, server=V3) == Acked()
    assert isinstance(outcome(200, {"ok": True}, json_headers, server=V1), Refused)
    assert isinstance(outcome(200, b"<html>login", {**HEADERS, "content-type": "text/html"}, server=V3), Refused)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_with_advice(status: int) -> None:
    result = outcome(status, headers={**HEADERS, "location": "http://elsewhere.example"})
    assert isinstance(result, Refused)
    assert "redirect" in result.reason


@pytest.mark.parametrize(("status", "word"), [(401, "token"), (403, "token"), (404, "database"), (405, "url")])
def test_what_a_human_must_mend_is_refused_with_advice(status: int, word: str) -> None:
    result = outcome(status, {"error": "no"})
    assert isinstance(result, Refused)
    assert word in result.reason


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_passes_is_tried_later(status: int) -> None:
    assert isinstance(outcome(status), Later)


def test_only_a_5xx_without_retry_after_may_be_the_bodys_fault() -> None:
    assert outcome(500) == Later("500", body_may_be_at_fault=True)
    assert outcome(503, headers={**HEADERS, "retry-after": "7"}) == Later("503", 7.0)
    assert outcome(429) == Later("429")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 20:00:00 GMT", 0.0),
        ("99999999999999", 3600.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("\u0664", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(text: str, seconds: float) -> None:
    result = outcome(429, headers={**HEADERS, "retry-after": text})
    assert isinstance(result, Later)
    assert result.retry_after == seconds


def test_413_is_too_large() -> None:
    assert isinstance(outcome(413), TooLarge)


BAD, WORSE, GOOD = b"m v=x 1", b"it's': bad", b"m v=1 1"


def test_version_1_names_lines_and_has_stored_the_rest() -> None:
    said = f"partial write: unable to parse '{BAD.decode()}': invalid number dropped=0"
    assert outcome(400, {"error": said}, lines=(BAD, GOOD)) == NamedLines({BAD: "invalid number"}, True)


def test_version_2_names_every_line_and_has_stored_nothing() -> None:
    said = f"unable to parse '{BAD.decode()}': invalid number\nunable to parse '{WORSE.decode()}': missing fields"
    named = {BAD: "invalid number", WORSE: "missing fields"}
    assert outcome(400, {"code": "invalid", "message": said}, lines=(BAD, GOOD, WORSE)) == NamedLines(named, False)


def test_where_fewer_lines_are_named_than_were_dropped_the_rest_is_sent_again() -> None:
    said = f"partial write: unable to parse '{BAD.decode()}': invalid number\n… and 1 more dropped=2"
    assert outcome(400, {"error": said}, lines=(BAD, GOOD, WORSE)) == NamedLines({BAD: "invalid number"}, False)


TRAPS = st.sampled_from(("partial write: ", "unable to parse '", "': ", "dropped=7", "'", ":", " ", "x", "\\", "é"))
TRICKY = st.lists(st.lists(TRAPS, min_size=1).map("".join), min_size=1, max_size=8, unique=True)


@given(texts=TRICKY, data=st.data())
def test_no_text_within_a_line_confuses_which_were_named(texts: list[str], data: st.DataObject) -> None:
    lines = tuple(f'm s="{text}" {n}'.encode() for n, text in enumerate(texts))
    bad = data.draw(st.sets(st.sampled_from(lines), min_size=1))
    said = "\n".join(f"unable to parse '{line.decode()}': invalid" for line in lines if line in bad)
    named = dict.fromkeys(bad, "invalid")
    assert outcome(400, {"message": said}, lines=lines) == NamedLines(named, False)
    assert outcome(400, {"error": f"partial write: {said} dropped=0"}, lines=lines) == NamedLines(named, True)


@pytest.mark.parametrize("status", [400, 422])
def test_versions_1_and_2_count_what_conflicts_in_type(status: int) -> None:
    said = 'partial write: field type conflict: input field "v" on measurement "m" is type string dropped=2'
    result = outcome(status, {"error": said}, lines=(GOOD, GOOD, GOOD))
    assert isinstance(result, SomeDropped)
    assert result.count == 2


def test_version_3_numbers_the_lines_that_it_left_out() -> None:
    data = [{"original_line": "m v=x", "line_number": 2, "error_message": "invalid"}]
    said = {"error": "partial write of line protocol occurred", "data": data}
    assert outcome(400, said, lines=(GOOD, BAD), server=V3) == NamedLines({BAD: "invalid"}, True)
    said = {"error": "parsing failed for write_lp endpoint", "data": data[0]}  # type: ignore[dict-item]
    assert outcome(400, said, lines=(GOOD, BAD), server=V3) == NamedLines({BAD: "invalid"}, False)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b'{"error": 7}', b"[1]", b'{"data": [7, {"line_number": 99}]}']
)
def test_a_400_that_names_no_line_is_about_the_body(body: bytes) -> None:
    assert isinstance(outcome(400, body), BadBody)


def test_a_server_cannot_condemn_a_line_that_was_not_sent() -> None:
    assert isinstance(outcome(400, {"error": "unable to parse 'm v=2 2': bad"}, lines=(GOOD,)), BadBody)


def test_what_a_server_says_is_bounded_and_escaped() -> None:
    result = outcome(401, {"error": "\x1b[31m" + "x" * 10_000})
    assert isinstance(result, Refused)
    assert "\x1b" not in result.reason
    assert len(result.reason) < 600


@given(
    status=st.integers(100, 999),
    body=st.binary(max_size=200)
    | st.builds(
        lambda data: json.dumps(data).encode(),
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(("error", "message", "data")), inner),
        ),
    ),
    headers=st.dictionaries(st.sampled_from(("date", "retry-after", "content-type", "location")), st.text()),
    server=st.sampled_from((V1, V3, UNKNOWN)),
)
def test_no_answer_breaks_it_and_only_a_good_one_acknowledges(
    status: int, body: bytes, headers: dict[str, str], server: Server
) -> None:
    result = outcome(status, body, headers, server=server)
    assert not isinstance(result, Acked) or status in (200, 204)
