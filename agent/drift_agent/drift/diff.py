"""What a text file was and is → a bounded, redacted unified diff. Pure."""

import difflib
from itertools import takewhile
from typing import Final

from drift_agent.image.redact import redact_blocks, redact_line

MAX_DIFF_BYTES: Final = 16 << 10
MAX_COMPARED_LINES: Final = 1000
"""More differing lines than that are not aligned: that would take time that grows with their square."""

CONTEXT_LINES: Final = 3
_CUT: Final = "… cut at 16 KiB"


def unified(key: str, was: str, now: str) -> str:
    """The diff, at most 16 KiB of UTF-8; empty where nothing but a secret differs."""
    if was.endswith("\n") and now.endswith("\n"):  # behind the last newline is no line
        was, now = was[:-1], now[:-1]
    before, after = redact_blocks(was.split("\n")), redact_blocks(now.split("\n"))
    lines = _hunks(before, after)
    if not lines:
        return ""
    text = [f"--- {key} (image)", f"+++ {key} (now)"]
    size = sum(len(line.encode("utf-8", "replace")) + 1 for line in text)
    for line in lines:
        shown = line if line.startswith("@@") else line[:1] + redact_line(line[1:])
        size += len(shown.encode("utf-8", "replace")) + 1
        if size > MAX_DIFF_BYTES - len(_CUT.encode()):
            text.append(_CUT)
            break
        text.append(shown)
    return "\n".join(text)


def _hunks(before: list[str], after: list[str]) -> list[str]:
    head = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    rest = min(len(before), len(after)) - head
    backwards = zip(reversed(before[head:]), reversed(after[head:]), strict=False)
    tail = min(rest, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], backwards)))
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if max(len(old), len(new)) > MAX_COMPARED_LINES:
        header = f"@@ -{head + 1},{len(old)} +{head + 1},{len(new)} @@"
        return [header, *(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    start = max(0, head - CONTEXT_LINES)
    end = max(0, tail - CONTEXT_LINES)
    near = difflib.unified_diff(
        before[start : len(before) - end], after[start : len(after) - end], lineterm="", n=CONTEXT_LINES
    )
    return [_moved(line, start) for line in list(near)[2:]]


def _moved(line: str, by: int) -> str:
    """A hunk's header, its line numbers counted from the beginning of the file."""
    if not line.startswith("@@") or not by:
        return line
    parts = line.split(" ")
    for position in (1, 2):
        number, comma, count = parts[position][1:].partition(",")
        parts[position] = f"{parts[position][0]}{int(number) + by}{comma}{count}"
    return " ".join(parts)
