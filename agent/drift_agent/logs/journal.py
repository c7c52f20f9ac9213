"""The systemd journal, through `journalctl --output=json`: one child that follows, read as far as it has come."""

import json
import logging
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from drift_agent.logs.handler import Counts
from drift_agent.logs.messages import DAEMON, Message
from drift_agent.logs.raw import RawLines
from drift_agent.logs.severity import FACILITIES, NOTICE, SEVERITIES
from drift_agent.logs.stamps import LineTime, Stamps
from drift_agent.model import Point

LOG: Final = logging.getLogger("driftline.logs")
MAX_POLL_BYTES: Final = 4 << 20
MAX_LINE_BYTES: Final = 1 << 20
RESTART_WAIT: Final = 10.0
_FIELDS: Final = (
    "MESSAGE", "PRIORITY", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER", "MESSAGE_ID", "_COMM", "_PID", "_HOSTNAME",
    "_SYSTEMD_UNIT",
)  # fmt: skip
_STARTS: Final = {"auto": ["--boot", "--no-tail"], "beginning": ["--no-tail"], "end": ["--lines=0"]}
_OURS: Final = frozenset({"drift-agent", "drift", "driftline", "driftline-agent"})
_CURSOR_NUMBER: Final = re.compile(r";i=([0-9a-f]{1,16});")

Spawn = Callable[[Sequence[str]], "subprocess.Popen[bytes]"]


def spawn_journalctl(arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Starts journalctl with these arguments. Raises OSError where there is none."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"}
    return subprocess.Popen(
        ["journalctl", *arguments],  # noqa: S607 (where it lies differs between distributions)
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def parse_entry(entry: Mapping[str, object]) -> Message | None:
    """One entry of journalctl's JSON (systemd.journal-fields(7)); None of what the agent itself wrote."""
    identifier, unit = _text(entry, "SYSLOG_IDENTIFIER"), _text(entry, "_SYSTEMD_UNIT")
    if identifier in _OURS or unit.removesuffix(".service") in _OURS or _text(entry, "_PID") == str(os.getpid()):
        return None
    micros = _number(entry, "__REALTIME_TIMESTAMP", 0, 2**63 // 1000 - 1)
    return Message(
        _text(entry, "MESSAGE"),
        _number(entry, "PRIORITY", NOTICE, len(SEVERITIES) - 1),
        _number(entry, "SYSLOG_FACILITY", DAEMON, len(FACILITIES) - 1),
        LineTime(micros * 1000, 1000) if micros else None,
        _text(entry, "_HOSTNAME"),
        identifier or _text(entry, "_COMM") or unit,
        _text(entry, "_PID"),
        _text(entry, "MESSAGE_ID"),
    )


def _text(entry: Mapping[str, object], name: str) -> str:
    """A field's text. One that is not UTF-8 comes as a list of bytes, one that is there twice as a list of both."""
    value = entry.get(name)
    if isinstance(value, list) and value and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        return bytes(value).decode("utf-8", "surrogateescape")
    if isinstance(value, list):
        value = value[0] if value else ""
    return value if isinstance(value, str) else ""


def _number(entry: Mapping[str, object], name: str, default: int, highest: int) -> int:
    text = _text(entry, name)
    number = int(text) if re.fullmatch(r"[0-9]{1,19}", text) else default
    return number if number <= highest else default


class Journal:
    """Follows the journal. The cursor is its offset."""

    def __init__(
        self,
        name: str,
        start: str,
        only: re.Pattern[str] | None,
        raw: RawLines,
        counts: Counts,
        stamps: Stamps,
        *,
        restored: bytes | None = None,
        spawn: Spawn = spawn_journalctl,
    ) -> None:
        self._name = name or "journal"
        self._start = start
        self._only = only
        self._raw = raw
        self._counts = counts
        self._stamps = stamps
        self._cursor = restored.decode() if restored else ""
        self._spawn = spawn
        self._child: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._next_start = float("-inf")
        self.more = False

    def state(self) -> bytes:
        return self._cursor.encode()

    def close(self) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            if self._child.stdout is not None:
                self._child.stdout.close()
            self._child = None

    def read(self, now_ns: int, monotonic: float) -> None:
        """Takes in what was written since, as far as journalctl has come."""
        if self._child is None:
            self._begin(monotonic)
        for line in self._lines():
            self._take(line, now_ns)

    def points(self, now_ns: int) -> list[Point]:
        """The entries and counts of the interval; begins a new one."""
        return self._raw.points(lambda: self._stamps.next(now_ns))

    def _begin(self, monotonic: float) -> None:
        if monotonic < self._next_start:
            return
        self._next_start = monotonic + RESTART_WAIT
        where = [f"--after-cursor={self._cursor}", "--no-tail"] if self._cursor else _STARTS[self._start]
        arguments = ["--output=json", "--all", "--follow", f"--output-fields={','.join(_FIELDS)}", *where]
        try:
            self._child = self._spawn(arguments)
        except OSError as error:
            LOG.warning("logs: journalctl cannot be started: %s; it is tried again every %gs", error, RESTART_WAIT)
            return
        self._buffer = b""
        if self._child.stdout is not None:
            os.set_blocking(self._child.stdout.fileno(), False)

    def _lines(self) -> list[bytes]:
        """Whole lines that the child has written, at most about `MAX_POLL_BYTES`."""
        child, taken, ended = self._child, 0, False
        self.more = False
        if child is None or child.stdout is None:
            return []
        parts = [self._buffer]
        while not ended and taken < MAX_POLL_BYTES:
            try:
                data = os.read(child.stdout.fileno(), 1 << 16)
            except BlockingIOError:
                break
            ended = not data
            taken += len(data)
            parts.append(data)
        self.more = taken >= MAX_POLL_BYTES
        *lines, self._buffer = b"".join(parts).split(b"\n")
        if len(self._buffer) > MAX_LINE_BYTES:
            self._buffer = b""  # the rest of that line will not parse, and is counted so
        if ended:
            self.close()
            LOG.warning("logs: journalctl ended (%s); it is started again", child.returncode)
        return lines

    def _take(self, line: bytes, now_ns: int) -> None:
        try:
            entry = json.loads(line)
            cursor = entry["__CURSOR"]
        except (ValueError, KeyError, TypeError, RecursionError):
            self._counts.lines += 1
            self._counts.unparsed += 1
            return
        self._cursor = str(cursor)
        message = parse_entry(entry)
        if message is None:
            return
        self._counts.lines += 1
        if self._only is None or self._only.search(message.message):
            number = _CURSOR_NUMBER.search(self._cursor)
            self._raw.add(message, self._name, 0, int(number.group(1), 16) if number else 0, now_ns)
