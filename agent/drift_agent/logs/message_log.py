"""A section of a log of messages: syslog, nginx's and Apache's error logs."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from drift_agent.logs.handler import Counts, text_of
from drift_agent.logs.lines import Chunk
from drift_agent.logs.messages import DAEMON, Message, parse_apache_error, parse_nginx_error, parse_syslog
from drift_agent.logs.raw import RawLines
from drift_agent.logs.severity import NOTICE
from drift_agent.logs.stamps import Stamps
from drift_agent.model import Point

PARSERS: Final[Mapping[str, Callable[[str, int], Message | None]]] = {
    "syslog": parse_syslog,
    "nginx-error": parse_nginx_error,
    "apache-error": parse_apache_error,
}


class MessageLog:
    """Each record is a message; one that is not of the format is one all the same, a notice of unknown time."""

    def __init__(
        self,
        name: str,
        parse: Callable[[str, int], Message | None],
        only: re.Pattern[str] | None,
        raw: RawLines,
        counts: Counts,
        stamps: Stamps,
    ) -> None:
        """`only`: of the messages in which this is not found nothing is made."""
        self._name = name
        self._parse = parse
        self._only = only
        self._raw = raw
        self._counts = counts
        self._stamps = stamps

    def feed(self, chunk: Chunk, now_ns: int) -> None:
        log = self._name or chunk.log
        for offset, record in chunk.records():
            self._counts.lines += 1
            line = text_of(record)
            message = self._parse(line, now_ns)
            if message is None:
                self._counts.unparsed += 1
                message = Message(line, NOTICE, DAEMON)
            if self._only is None or self._only.search(message.message):
                self._raw.add(message, log, chunk.ordinal, offset, now_ns)

    def points(self, now_ns: int) -> list[Point]:
        return self._raw.points(lambda: self._stamps.next(now_ns))
