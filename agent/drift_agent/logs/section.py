"""One `[[logs]]` section: where its lines come from, what they become, and what must be kept of it."""

import re
from collections.abc import Mapping
from typing import Final, Protocol

from drift_agent.config import LogOptions
from drift_agent.errors import ConfigError
from drift_agent.logs.access import AccessLog, Routes
from drift_agent.logs.access_format import NAMED, compile_format
from drift_agent.logs.field_types import FieldTypes
from drift_agent.logs.handler import Counts, Handler
from drift_agent.logs.journal import Journal, Spawn, spawn_journalctl
from drift_agent.logs.json_log import JsonLog
from drift_agent.logs.lines import compile_start
from drift_agent.logs.message_log import PARSERS, MessageLog
from drift_agent.logs.raw import RawLines
from drift_agent.logs.regex_log import RegexLog
from drift_agent.logs.severity import chosen_severities
from drift_agent.logs.stamps import Stamps
from drift_agent.logs.tail import Tail
from drift_agent.model import Point
from drift_agent.schema import GLOBAL_TAGS

FORMATS: Final = (*NAMED, *PARSERS, "json", "regex")
"""What `format` may name; anything that holds `$` is an nginx log_format."""


_ORDINALS_APART: Final = 5

_MEANT_FOR: Final = {
    "routes": ("access logs",),
    "tags": ("json", "regex"),
    "time_key": ("json",),
    "pattern": ("regex", "messages"),
    "severities": ("messages",),
}
"""Keys that say nothing to some formats: there they are a mistake, not a wish that goes unheard."""


class Section(Protocol):
    """Lines of one place, as points."""

    more: bool
    counts: Counts
    label: str

    def read(self, now_ns: int, monotonic: float) -> None:
        """Takes in what came; `more` says afterwards whether there is more to be read at once."""

    def points(self, now_ns: int) -> list[Point]:
        """What was read since the last time, as points."""

    def offsets(self) -> Mapping[str, bytes]:
        """What must be kept together with those points."""

    def close(self) -> None: ...


class FileSection:
    """Files of a glob through one format."""

    def __init__(self, key: str, label: str, tail: Tail, handler: Handler, counts: Counts) -> None:
        self.label = label
        self.more = False
        self.counts = counts
        self._key = key
        self._tail = tail
        self.handler = handler

    def read(self, now_ns: int, monotonic: float) -> None:
        for chunk in self._tail.poll(monotonic):
            self.handler.feed(chunk, now_ns)
        self.more = self._tail.more
        self.counts.cut = self._tail.cut

    def points(self, now_ns: int) -> list[Point]:
        return self.handler.points(now_ns)

    def offsets(self) -> Mapping[str, bytes]:
        return {self._key: self._tail.state()}

    def close(self) -> None:
        self._tail.close()


class JournalSection:
    """The systemd journal."""

    def __init__(self, key: str, label: str, journal: Journal, counts: Counts) -> None:
        self.label = label
        self.more = False
        self.counts = counts
        self._key = key
        self._journal = journal

    def read(self, now_ns: int, monotonic: float) -> None:
        self._journal.read(now_ns, monotonic)
        self.more = self._journal.more

    def points(self, now_ns: int) -> list[Point]:
        return self._journal.points(now_ns)

    def offsets(self) -> Mapping[str, bytes]:
        state = self._journal.state()
        return {self._key: state} if state else {}

    def close(self) -> None:
        self._journal.close()


def make_section(
    options: LogOptions,
    index: int,
    key: str,
    restored: Mapping[str, bytes],
    stamps: Stamps,
    types: FieldTypes,
    *,
    spawn: Spawn = spawn_journalctl,
) -> Section:
    """The section of `options`, going on where `restored[key]` says; `stamps` and `types` are all sections' together.

    Raises:
        ConfigError: a bad pattern, format, route or severity.
    """
    _check_keys(options, index)
    counts = Counts()
    label = options.name or (options.path if not options.journal else "journal")
    only = _compile(options.pattern, index) if options.pattern else None
    if options.journal:
        raw = RawLines(_severities(options, index), stamps, counts)
        journal = Journal(
            options.name, options.from_, only, raw, counts, stamps, restored=restored.get(key), spawn=spawn
        )
        return JournalSection(key, label, journal, counts)
    handler = _make_handler(options, index, only, counts, stamps, types)
    tail = Tail(
        options.path,
        start=options.from_,
        multiline=_compile_start(options, index),
        restored=restored.get(key),
        first_ordinal=index * _ORDINALS_APART,
    )
    return FileSection(key, label, tail, handler, counts)


def _check_keys(options: LogOptions, index: int) -> None:
    form = options.format
    kind = "messages" if options.journal or form in PARSERS else form if form in ("json", "regex") else "access logs"
    for key, kinds in _MEANT_FOR.items():
        if getattr(options, key) and kind not in kinds:
            place = "the journal" if options.journal else f"format = {form!r}"
            raise ConfigError(f"logs[{index}].{key} says nothing to {place}: it is for {' and '.join(kinds)}")
    if options.journal and options.multiline_start:
        raise ConfigError(f"logs[{index}].multiline_start says nothing to the journal: its records are whole")


def _make_handler(
    options: LogOptions,
    index: int,
    only: re.Pattern[str] | None,
    counts: Counts,
    stamps: Stamps,
    types: FieldTypes,
) -> Handler:
    form, name = options.format, options.name
    for tag in ("time", *GLOBAL_TAGS):
        if tag in options.tags:
            raise ConfigError(f"logs[{index}].tags: {tag!r} cannot be the name of a tag")
    if form in PARSERS:
        raw = RawLines(_severities(options, index), stamps, counts)
        return MessageLog(name, PARSERS[form], only, raw, counts, stamps)
    if form == "json":
        return JsonLog(name, options.tags, options.time_key, counts, stamps, types)
    if form == "regex":
        if only is None or not only.groupindex or "lines" in only.groupindex:
            raise ConfigError(f"logs[{index}].pattern must hold named groups, (?P<name>…), other than 'lines'")
        return RegexLog(name, only, options.tags, counts, stamps)
    if form in NAMED or "$" in form:
        try:
            return AccessLog(name, compile_format(form), _routes(options, index), counts, stamps)
        except ValueError as error:
            raise ConfigError(f"logs[{index}].format {error}") from None
    raise ConfigError(
        f"logs[{index}].format = {form!r} is none of {', '.join(FORMATS)}, nor an nginx log_format (which holds '$')"
    )


def _severities(options: LogOptions, index: int) -> frozenset[int]:
    try:
        return chosen_severities(options.severities)
    except ValueError as error:
        raise ConfigError(f"logs[{index}].severities: {error}") from None


def _compile(pattern: str, index: int) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"logs[{index}].pattern: not a regular expression: {error}") from None


def _compile_start(options: LogOptions, index: int) -> re.Pattern[bytes] | None:
    if not options.multiline_start:
        return None
    try:
        return compile_start(options.multiline_start)
    except re.error as error:
        raise ConfigError(f"logs[{index}].multiline_start: not a regular expression: {error}") from None


def _routes(options: LogOptions, index: int) -> Routes:
    try:
        return Routes(options.routes)
    except re.error as error:
        raise ConfigError(f"logs[{index}].routes: not a regular expression: {error}") from None
