"""Logs of messages: every form that is known, and nothing that breaks on anything else."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift_agent.logs.message_log import PARSERS
from drift_agent.logs.messages import Message, parse_apache_error, parse_nginx_error, parse_syslog
from drift_agent.logs.severity import chosen_severities, severity_code
from drift_agent.logs.stamps import LineTime

AT = 1_795_410_089 * 10**9  # 2026-11-23T05:01:29Z


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_every_part_of_an_rfc_5424_line_is_told_apart() -> None:
    line = '<165>1 2026-11-23T05:01:29.003Z mymachine evntslog 17 ID47 [a@1 b="c \\"]"][d e="f"] \ufeffAn entry'
    assert parse_syslog(line, AT) == Message(
        "An entry", 5, 20, LineTime(AT + 3_000_000, 10**6), "mymachine", "evntslog", "17", "ID47", 1
    )


def test_what_an_rfc_5424_line_leaves_out_is_empty() -> None:
    assert parse_syslog("<0>1 - - - - - -", AT) == Message("", 0, 0, None, version=1)


def test_every_part_of_an_rfc_3164_line_is_told_apart() -> None:
    line = "<34>Nov 23 05:01:29 mymachine su[12]: 'su root' failed on /dev/pts/8"
    assert parse_syslog(line, AT) == Message(
        "'su root' failed on /dev/pts/8", 2, 4, LineTime(AT, 10**9), "mymachine", "su", "12"
    )


@pytest.mark.parametrize("stamp", ["Nov 23 05:01:29", "2026-11-23T05:01:29.000000+00:00"])
def test_what_rsyslog_writes_to_files_has_no_priority_and_is_a_notice(stamp: str) -> None:
    parsed = parse_syslog(f"{stamp} web1 cron: done", AT)
    assert parsed is not None
    assert (parsed.message, parsed.severity, parsed.facility, parsed.appname) == ("done", 5, 1, "cron")
    assert parsed.time is not None
    assert parsed.time.ns == AT


def test_a_message_without_a_tag_is_all_message() -> None:
    parsed = parse_syslog("Nov 23 05:01:29 web1 -- MARK --", AT)
    assert parsed is not None
    assert (parsed.appname, parsed.message) == ("", "-- MARK --")


@pytest.mark.parametrize("line", ["", "hello", "<192>Nov 23 05:01:29 h x: y", "<>1 - - - - - -", "<1", "Nov 23"])
def test_what_is_no_syslog_is_none(line: str) -> None:
    assert parse_syslog(line, AT) is None


def test_nginx_error() -> None:
    line = '2026/11/23 05:01:29 [crit] 7#8: *9 connect() failed, client: 1.2.3.4, request: "GET / HTTP/1.1"'
    assert parse_nginx_error(line, AT) == Message(
        '*9 connect() failed, client: 1.2.3.4, request: "GET / HTTP/1.1"', 2, 3, LineTime(AT, 10**9), procid="7"
    )
    assert parse_nginx_error("2026/11/23 05:01:29 [loud] 7#8: x", AT) is None


def test_apache_error() -> None:
    line = (
        "[Mon Nov 23 05:01:29.000001 2026] [core:trace3] [pid 7:tid 8] [client 1.2.3.4:5] AH00124: too many redirects"
    )
    assert parse_apache_error(line, AT) == Message(
        "[client 1.2.3.4:5] AH00124: too many redirects", 7, 3, LineTime(AT + 1000, 1000), procid="7", msgid="AH00124"
    )


def test_severities_in_every_spelling() -> None:
    assert [severity_code(name) for name in ("EMERG", "warn", "error", "trace8", "Informational", "loud")] == [
        0, 4, 3, 7, 6, None,
    ]  # fmt: skip
    assert chosen_severities(["err", "crit"]) == {2, 3}
    assert chosen_severities([]) == set(range(8))
    with pytest.raises(ValueError, match="'loud' is no severity"):
        chosen_severities(["loud"])


PIECES = st.lists(
    st.sampled_from(["<34>", "1 ", "Nov 23 05:01:29 ", "2026-11-23T05:01:29Z ", "- ", '[a b="', '"] ', "h ", "x[1]: ",
                     "2026/11/23 05:01:29 ", "[error] ", "7#8: ", "[Mon Nov 23 05:01:29 2026] ", "\\", "\n", "\udcff"]),
    max_size=12,
).map("".join)  # fmt: skip


@given(st.one_of(st.text(max_size=100), PIECES), st.integers(0, 2**62))
@settings(deadline=None)
def test_no_line_breaks_a_parser_and_what_it_says_is_in_range(line: str, now_ns: int) -> None:
    for parse in PARSERS.values():
        message = parse(line, now_ns)
        if message is not None:
            assert 0 <= message.severity < 8
            assert 0 <= message.facility < 24
            assert message.time is None or 0 <= message.time.ns < 2**63
