"""Lines that a server will never take, kept for a human: bounded, one JSON object a line."""

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from drift_agent.line_protocol import portable

LOG: Final = logging.getLogger("driftline.ship")
MAX_BYTES: Final = 1 << 20
_MAX_LINE: Final = 64 << 10


class DeadLetters:
    """Appends `{at, output, reason, line}` to a file; at 1 MiB it becomes `FILE.1`, whose forerunner goes.

    Safe for several threads. A file that cannot be written is said once a call, and stops nothing.
    """

    def __init__(self, path: str, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = Lock()

    def add(self, output: str, reasons: Mapping[bytes, str], now_ns: int) -> None:
        """One record for each line of `reasons`."""
        at = datetime.fromtimestamp(now_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._lock:
            try:
                for line, reason in reasons.items():
                    text = line[:_MAX_LINE].decode(errors="replace")
                    self._append({"at": at, "output": output, "reason": portable(reason), "line": text})
            except OSError as error:
                LOG.error("%s cannot be written: %s", self._path, error.strerror)

    def _append(self, record: Mapping[str, str]) -> None:
        text = json.dumps(record).encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size + len(text) > self._max_bytes:
                os.rename(self._path, self._path + ".1")
                os.close(descriptor)
                descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.write(descriptor, text)
        finally:
            os.close(descriptor)
