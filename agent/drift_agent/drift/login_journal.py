"""The journal of the running machine, asked through journalctl for logins."""

import errno
import os
import stat
import subprocess
from collections.abc import Callable, Sequence
from threading import Event
from typing import Final, NamedTuple

from drift_agent.clock import Clock
from drift_agent.drift.login_messages import FIELDS, MESSAGES, PROGRAMS, parse_journal_line
from drift_agent.drift.login_records import Login
from drift_agent.units import SECOND

FOLDERS: Final = ("var/log/journal", "run/log/journal")

OVERLAP_NS: Final = 120 * SECOND
"""How far the journal is read again each time: an entry is written some time after its stamp."""

STEP_SECONDS: Final = 60.0
"""Where the clock and the time that has passed differ by more, the clock was set: everything is asked for again."""

JOURNAL_SECONDS: Final = 120.0
"""A public sshd's failed logins of weeks are gone through at some 130,000 entries a second."""

_BY_ROOT: Final = "_UID=0"
_GREP: Final = (f"--grep={MESSAGES}", "--case-sensitive=true", f"--output-fields={','.join(FIELDS)}")
"""What spares reading most of it."""

_INFORMATION: Final = "PRIORITY=6"
"""What sshd says of a login. A journal that keeps only what is graver (`MaxLevelStore`) has none of it."""

MAX_COMPLAINT_LENGTH: Final = 200


class Answer(NamedTuple):
    """What journalctl said, and of what it complained: of a damaged file it leaves out."""

    lines: Sequence[bytes]
    complaint: str = ""


RunJournal = Callable[[Sequence[str], Event], Answer | None]
"""Arguments of journalctl → its answer; None where it cannot be run, refuses, or the event ended it."""


class Journal:
    """What it tells since the last time. An entry counts where journald's own fields say that root wrote it."""

    def __init__(self, run: RunJournal, clock: Clock) -> None:
        self._run = run
        self._clock = clock
        self._asked: tuple[int, float] | None = None
        self._greps = True

    def logins(self, since: int, stop: Event) -> tuple[list[Login], str] | None:
        """The logins since `since` (Unix ns) that were not told before (some may be), and what was not readable.

        None where it cannot be asked.
        """
        now, passed = self._clock.time_ns(), self._clock.monotonic()
        start = since if self._asked is None else self._next(since, now, passed)
        arguments = [f"--since=@{start // SECOND}", *(f"--identifier={name}" for name in PROGRAMS), _BY_ROOT]
        answer = self._run([*arguments, *_GREP], stop) if self._greps else None
        if answer is None:
            answer = self._run(arguments, stop)
            self._greps = self._greps and answer is None  # it may be old, or built without regular expressions
        if answer is None:
            return None
        self._asked = (now, passed)
        return [login for line in answer.lines if (login := parse_journal_line(line)) is not None], answer.complaint

    def _next(self, since: int, now: int, passed: float) -> int:
        before, passed_before = self._asked or (now, passed)
        if abs((now - before) / SECOND - (passed - passed_before)) > STEP_SECONDS:
            return since
        return max(min(before, now) - OVERLAP_NS, since)

    def reaches(self, at: int, stop: Event) -> bool:
        """Whether it goes back to `at` (Unix ns), so that it would hold what root logged then.

        Backwards from there: the last line before a time is not always found from the front (systemd 252).
        """
        arguments = [f"--until=@{at // SECOND}", "--reverse", "--lines=1", _INFORMATION, _BY_ROOT]
        answer = self._run(arguments, stop)
        return answer is not None and bool(answer.lines)


def unreadable(root: str) -> str | None:
    """Why the system's journal cannot be read, though it is there: journalctl says nothing of what it may not see."""
    for folder in (os.path.join(root, each) for each in FOLDERS):
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            return error.strerror
        for name in names:
            try:
                _require_regular(os.path.join(folder, name, "system.journal"))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                return error.strerror
    return None


def _require_regular(path: str) -> None:
    """
    Raises:
        OSError: it cannot be opened, or is no regular file: a pipe that stands there must not be waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "its system.journal is no regular file")
    finally:
        os.close(descriptor)


def run_journalctl(arguments: Sequence[str], stop: Event) -> Answer | None:
    """Runs journalctl for at most `JOURNAL_SECONDS`; its exit code 1 means that nothing matched."""
    command = ["journalctl", "--quiet", "--no-pager", "--output=json", *arguments]
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError:
        return None
    with process:
        for _ in range(round(JOURNAL_SECONDS / 0.1)):
            try:
                output, complaint = process.communicate(timeout=0.1)
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    break
                continue
            complaint = complaint.strip()
            if process.returncode != 0 and (complaint or process.returncode != 1):
                return None
            return Answer(output.splitlines(), complaint[:MAX_COMPLAINT_LENGTH].decode("utf-8", "replace"))
        process.kill()
    return None
