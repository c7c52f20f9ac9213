r"""Access logs' formats as one regular expression a line, from nginx's `log_format` language.

    $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"

Source: https://nginx.org/en/docs/http/ngx_http_log_module.html. Apache's common and combined formats are the same
lines. Both escape quotes within a value (`\x22` and `\"`).
"""

import re
from dataclasses import dataclass
from typing import Final

_COMMON: Final = '$remote_addr $ident $remote_user [$time_local] "$request" $status $body_bytes_sent'
_COMBINED: Final = f'{_COMMON} "$http_referer" "$http_user_agent"'

NAMED: Final = {
    "apache-common": _COMMON,
    "apache-combined": _COMBINED,
    "nginx-combined": _COMBINED,
    "nginx-combined-time": f"{_COMBINED} $request_time",
}

# Possessive: a line that does not fit is given up at once, however it was made.
_QUOTED: Final = r"[^\"\\\n]*+(?:\\.[^\"\\\n]*+)*+"
_REQUEST: Final = rf"(?:(?P<verb>[A-Za-z]++) (?P<path>[^ \"\\\n]*+))?{_QUOTED}"
_VALUES: Final = {
    "request": _REQUEST,
    "request_method": r"(?P<verb>[A-Za-z]++|-)",
    "status": r"(?P<status>\d)\d\d",
    "body_bytes_sent": r"(?P<bytes>\d++|-)",
    "bytes_sent": r"(?P<bytes>\d++|-)",
    "request_time": r"(?P<time>\d++(?:\.\d++)?|-)",
}
GROUPS: Final = ("verb", "path", "status", "bytes", "time")
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class AccessFormat:
    """`pattern.findall` gives rows; `places` are where verb, path, status, bytes and time stand in each of them."""

    pattern: re.Pattern[bytes]
    places: tuple[int, int, int, int, int]
    timed: bool


def compile_format(text: str) -> AccessFormat:
    """The format of a name of `NAMED`, or of a `log_format`.

    Raises:
        ValueError: it holds neither `$request` nor `$status`, or two variables stand side by side.
    """
    source = NAMED.get(text, text)
    parts: list[str] = []
    taken: set[str] = set()
    variables = list(_VARIABLE.finditer(source))
    position = 0
    for index, match in enumerate(variables):
        parts.append(re.escape(source[position : match.start()]))
        position = match.end()
        behind = source[position : position + 1]
        if behind == "" or (index + 1 < len(variables) and variables[index + 1].start() == position):
            behind = "\n" if position == len(source) else ""
        parts.append(_value(match.group(1) or match.group(2), behind, taken))
    parts.append(re.escape(source[position:]))
    if not taken & {"status", "verb", "path"}:
        raise ValueError("must hold $status, $request or $request_method: it is no access log otherwise")
    # What a server of a later version appends behind the format of a name is no reason to lose the line.
    end = r"[^\n]*+$" if text in NAMED else r"\r?$"
    # The empty group at the end is where absent values stand, and makes every row a tuple.
    pattern = re.compile(("^" + "".join(parts) + end + "()").encode(), re.MULTILINE)
    if pattern.match(b""):  # a blank line, and the end behind the last one, are no requests
        pattern = re.compile(b"(?=.)" + pattern.pattern, re.MULTILINE)
    absent = pattern.groups - 1
    places = [pattern.groupindex[name] - 1 if name in pattern.groupindex else absent for name in GROUPS]
    return AccessFormat(pattern, (places[0], places[1], places[2], places[3], places[4]), "time" in taken)


def _value(name: str, behind: str, taken: set[str]) -> str:
    """The expression of one variable. What has no form of its own runs up to the character behind it."""
    known = _VALUES.get(name)
    if known is None:
        known = _up_to(name, behind)
        if name in ("request_uri", "uri"):
            known = f"(?P<path>{known})"
    groups = set(re.findall(r"\?P<(\w+)>", known))
    if groups & taken:
        return re.sub(r"\?P<\w+>", "?:", known)
    taken |= groups
    return known


def _up_to(name: str, behind: str) -> str:
    if not behind:
        raise ValueError(f"${name} is followed at once by another variable: put a character between them")
    if behind == '"':
        return _QUOTED
    return rf"[^{re.escape(behind)}\n]*+" if behind != "\n" else r"[^\n]*+"
