"""One output: what stands there is asked once, credentials are read when they change, and never told."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from drift_agent.config import OutputOptions
from drift_agent.ship.answers import Acked, Later, Refused
from drift_agent.ship.deadline import Watchdog
from drift_agent.ship.http import HttpClient
from drift_agent.ship.output import Output, Sent
from fakes import FakeClock
from stub_influx import Reply, StubInflux, answer
from waiting import PATIENCE

BODY = [b"m v=1 1\n"]
ACK = answer("204 No Content")

Connect = Callable[..., tuple[StubInflux, Output]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """A server that gives these answers, and an output to it."""
    with ExitStack() as stack:
        watchdog = Watchdog()
        stack.callback(watchdog.end)

        def make(*answers: Reply, ping: Reply = ACK, **options: str) -> tuple[StubInflux, Output]:
            server = stack.enter_context(StubInflux(*answers, ping=ping))
            wanted = OutputOptions(url=server.url, **options)  # type: ignore[arg-type]
            output = Output(wanted, HttpClient(wanted, watchdog, PATIENCE), FakeClock())
            stack.callback(output.close)
            return server, output

        yield make


def send(output: Output) -> Sent:
    return output.send(BODY, lambda: [line.rstrip(b"\n") for line in BODY])


def asked(server: StubInflux) -> list[str]:
    return [request.path.partition("?")[0] for request in server.requests]


def test_what_stands_there_is_asked_before_the_first_write_and_not_again(connect: Connect) -> None:
    server, output = connect()
    assert output.server == ""
    assert [send(output).outcome for _ in range(3)] == [Acked()] * 3
    assert asked(server) == ["/ping", "/write", "/write", "/write"]
    assert output.server == "1.8.10"


def test_after_a_refusal_and_after_an_answer_of_another_version_it_is_asked_anew(connect: Connect) -> None:
    other = answer("204 No Content", headers={"X-Influxdb-Version": "2.7.0"})
    server, output = connect(answer("404 Not Found"), other)
    assert isinstance(send(output).outcome, Refused)
    assert output.server == ""
    assert [send(output).outcome for _ in range(2)] == [Acked()] * 2
    assert asked(server) == ["/ping", "/write"] * 3


def test_a_version_3_has_a_path_of_its_own(connect: Connect) -> None:
    ping = answer("200 OK", '{"version": "3.2.1"}', {"X-Influxdb-Version": ""})
    server, output = connect(answer("204 No Content", headers={"X-Influxdb-Version": ""}), ping=ping, database="d")
    assert send(output).outcome == Acked()
    assert asked(server) == ["/ping", "/api/v3/write_lp"]
    assert output.server == "3.2.1"


def test_a_token_of_a_file_is_read_when_the_file_is_another(connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    server, output = connect(token_file=str(file))
    send(output)
    assert not output.secret_changed()
    file.write_text("second one\n")
    assert output.secret_changed()
    send(output)
    assert not output.secret_changed()
    assert [request.headers["authorization"] for request in server.writes] == ["Token first", "Token second one"]


def test_while_a_secret_cannot_be_read_nothing_leaves_and_its_return_is_seen(connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "token"
    server, output = connect(token_file=str(file))
    outcome = send(output).outcome
    assert isinstance(outcome, Refused)
    assert "the secret cannot be read" in outcome.reason
    assert server.requests == []
    assert not output.secret_changed()
    file.write_text("here")
    assert output.secret_changed()
    assert send(output).outcome == Acked()


@pytest.mark.parametrize("secret", ["two\nlines", "tab\there", "clé"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_quoted(
    connect: Connect, tmp_path: Path, secret: str
) -> None:
    (tmp_path / "token").write_text(secret)
    server, output = connect(token_file=str(tmp_path / "token"))
    outcome = send(output).outcome
    assert isinstance(outcome, Refused)
    assert outcome.reason.endswith("a token must be one line of printable ASCII")
    assert secret not in outcome.reason
    assert server.requests == []


def test_what_a_server_quotes_of_the_secret_is_taken_out(connect: Connect) -> None:
    quoted = answer("401 Unauthorized", '{"error": "token s3cret-token is not known"}')
    _, output = connect(quoted, token="s3cret-token")
    outcome = send(output).outcome
    assert isinstance(outcome, Refused)
    assert outcome.reason.startswith("401 token [redacted] is not known; ")


@pytest.mark.parametrize(
    ("date", "ahead"), [("Tue, 14 Nov 2023 22:13:50 GMT", 30.0), ("Tue, 14 Nov 2023 22:13:10 GMT", -10.0)]
)
def test_the_servers_clock_is_told_by_its_answer(connect: Connect, date: str, ahead: float) -> None:
    """The header is cut to seconds: half of one is added, and half of the time that the exchange took."""
    _, output = connect(answer("204 No Content", headers={"Date": date}))
    sent = send(output)
    assert output.clock_offset == pytest.approx(ahead + 0.5 + sent.seconds / 2, abs=1e-3)


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Nov 2023 22:13:50 GMT", "Tue, 14 Nov 99999 00:00:00 GMT"])
def test_a_date_that_is_none_leaves_what_was_known_of_the_clock(connect: Connect, date: str) -> None:
    dates = ("Tue, 14 Nov 2023 22:14:20 GMT", date)
    _, output = connect(*(answer("204 No Content", headers={"Date": each}) for each in dates))
    send(output)
    before = output.clock_offset
    assert before > 59.0
    assert send(output).outcome == Acked()
    assert output.clock_offset == before


def test_silence_is_no_refusal_and_after_an_end_nothing_begins(connect: Connect) -> None:
    server, output = connect()
    output.abort()
    assert send(output).outcome == Later("the agent stops")
    assert server.requests == []
