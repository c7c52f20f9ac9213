"""What an answer to a write means. Pure.

Only `Acked` lets lines leave. The table of outcomes for users is `docs/delivery.md`.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias

from drift_agent.line_protocol import portable
from drift_agent.ship.influx import VERSION_HEADERS, Answer, Server
from drift_agent.text import cut

MAX_RETRY_AFTER: Final = 3600.0
_SAID: Final = 300
"""How much of a server's words is repeated in ours."""


@dataclass(frozen=True, slots=True)
class Acked:
    """The server has every line."""


@dataclass(frozen=True, slots=True)
class NamedLines:
    """The server named lines that it will never take. `stored` says whether it has the rest."""

    reasons: Mapping[bytes, str]
    stored: bool


@dataclass(frozen=True, slots=True)
class SomeDropped:
    """The server has stored the rest and dropped `count` lines without saying which."""

    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class BadBody:
    """Nothing was stored for a fault of the body that names no line."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Nothing was stored: the body is too large for this server."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A human has to act (credentials, a missing database, a wrong address): everything is kept."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """Worth trying again. `retry_after` is what the server asked for (s). `body_may_be_at_fault`: a 5xx."""

    reason: str
    retry_after: float = 0.0
    body_may_be_at_fault: bool = False


Outcome: TypeAlias = Acked | NamedLines | SomeDropped | BadBody | TooLarge | Refused | Later


def classify(answer: Answer, lines: Callable[[], Sequence[bytes]], server: Server, now_ns: int) -> Outcome:
    """What `answer` to a write of `lines` (asked for only where they matter) means.

    An ack is a whole 204 (a 200 with JSON on InfluxDB 3's own path): one whose header was cut off by a closed
    connection reads as a 204 too, so it must carry what the server's answers always carry.
    """
    status = answer.status
    if status == 204 or (status == 200 and server.is_v3 and _is_json(answer)):
        return _ack(answer, server)
    reason = f"{status} {_said(answer)}".strip()
    if status in (400, 422):
        return _bad_request(answer, lines(), reason)
    if status == 413:
        return TooLarge(reason)
    if status in (408, 425, 429) or status >= 500:
        after = _retry_after(answer, now_ns)
        # A server that says when to come back speaks of itself; any other 5xx may be about what we sent.
        return Later(reason, after, body_may_be_at_fault=status >= 500 and not after)
    return Refused(f"{reason}; {_advice(answer)}")


def _ack(answer: Answer, server: Server) -> Outcome:
    if not any(name in answer.headers for name in (*VERSION_HEADERS, "date")):
        return Later(f"{answer.status} without the headers of a whole answer")
    if server.version and not server.is_v3 and not answer.version:
        return Later(f"{answer.status} that is not InfluxDB {server.version}'s: something else answers in its place")
    return Acked()


def _is_json(answer: Answer) -> bool:
    return "json" in answer.headers.get("content-type", "") and bool(answer.document())


def _message(answer: Answer) -> str:
    document = answer.document()
    for key in ("error", "message"):
        if isinstance(text := document.get(key), str):
            return text
    return answer.body.decode(errors="replace") if "text/html" not in answer.headers.get("content-type", "") else ""


def _said(answer: Answer) -> str:
    return cut(portable(" ".join(_message(answer).split())), _SAID)


def _advice(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        return "it redirects, and redirects are not followed: configure the final address as url"
    if answer.status in (401, 403):
        return "check the token, or username and password_file"
    if answer.status == 404:
        return "make the database or bucket (drift store init), or correct database, bucket, org or url"
    if answer.status < 300:
        return "this is no answer of a time-series server: check url"
    return "check url and what stands between"


def _retry_after(answer: Answer, now_ns: int) -> float:
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.fromtimestamp(now_ns / 1e9, UTC)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


# ---------------------------------------------------------------------------------- 400 and 422: which lines were bad

_UNABLE: Final = "unable to parse '"
_DROPPED: Final = re.compile(r" ?dropped=(\d{1,9})\s*$")


def _bad_request(answer: Answer, lines: Sequence[bytes], reason: str) -> Outcome:
    message = _message(answer)
    data = answer.document().get("data")
    if data is not None:
        return _named_by_v3(data, lines, reason)
    # What comes after the first quotation is text of ours: a line may well say "partial write" itself.
    partial = "partial write" in message.partition(_UNABLE)[0]
    tail = _DROPPED.search(message) if partial else None
    dropped = int(tail.group(1)) if tail is not None else 0
    known = {line.decode(errors="replace"): line for line in lines}
    named = {known[text]: why for text, why in _unparsable(message[: tail.start() if tail else None], known)}
    if named:
        # Where fewer are named than were dropped, the rest is sent again: it names the next ones.
        return NamedLines(named, partial and dropped <= sum(line in named for line in lines))
    if partial and tail is not None:
        return SomeDropped(dropped, reason)
    return BadBody(reason)


def _unparsable(message: str, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """The lines that `unable to parse 'LINE': REASON` quotes, one a line of the message (1.x and 2.x)."""
    for text in message.split("\n"):
        start = text.find(_UNABLE)
        if start < 0:
            continue
        quoted = text[start + len(_UNABLE) :]
        end = quoted.find("': ")
        while end >= 0:  # a line may itself hold what looks like the end of the quotation
            if quoted[:end] in known:
                yield quoted[:end], quoted[end + 3 :][:_SAID]
                break
            end = quoted.find("': ", end + 1)


def _named_by_v3(data: object, lines: Sequence[bytes], reason: str) -> Outcome:
    """InfluxDB 3 gives `data`: a list where it stored the rest, one object where it stored nothing."""
    entries = data if isinstance(data, list) else [data]
    named: dict[bytes, str] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        number, why = entry.get("line_number"), entry.get("error_message")
        if isinstance(number, int) and 1 <= number <= len(lines):
            named[lines[number - 1]] = str(why)[:_SAID]
    if not named:
        return BadBody(reason)
    return NamedLines(named, stored=isinstance(data, list))
