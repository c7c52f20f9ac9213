"""Points ⇄ bytes of InfluxDB's line protocol. Pure.

What is written is portable to every engine that speaks it: no literal newline or other control character ever
leaves (two of them split the line there), no empty tag, no NaN. String fields go through `portable`, and readers
call `unportable` on what they get back:

    newline → \\n      backslash → \\\\      a byte that is not UTF-8, or a control character → \\xNN

Format: https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
"""

import math
import re
from collections.abc import Mapping
from typing import Final

from drift_agent.model import FieldValue, Point

MAX_LINE_BYTES: Final = 1 << 20

_INT64: Final = range(-(2**63), 2**63)


class LineError(ValueError):
    """A point that cannot be written, or a line that cannot be read; the message says why."""


# ------------------------------------------------------------------------------------------------ writing

_TO_ESCAPE_STRING: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\\\ud800-\udfff]")
_FROM_ESCAPE_STRING: Final = re.compile(r"\\(n|\\|x[0-9a-f]{2})")


def portable(text: str) -> str:
    """`text` without newlines, control characters and surrogates, in the two-character form of the module's table."""
    if text.isprintable() and "\\" not in text:
        return text
    return _TO_ESCAPE_STRING.sub(_escape_character, text)


def _escape_character(match: re.Match[str]) -> str:
    character = match.group()
    if character == "\n":
        return "\\n"
    if character == "\\":
        return "\\\\"
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not decode
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else "\ufffd"


def unportable(text: str) -> str:
    """What `portable` was given. Text that it never wrote (a lone backslash) is kept as it is."""
    return _FROM_ESCAPE_STRING.sub(_unescape_character, text) if "\\" in text else text


def _unescape_character(match: re.Match[str]) -> str:
    form = match.group(1)
    if form == "n":
        return "\n"
    if form == "\\":
        return "\\"
    code = int(form[1:], 16)
    return chr(code if code < 0x80 else 0xDC00 + code)


_KEY_SPECIAL: Final = re.compile(r"([,= ])")
_MEASUREMENT_SPECIAL: Final = re.compile(r"([, ])")
_UNWRITABLE_IN_KEY: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_BACKSLASH_TRAP: Final = re.compile(r"\\(?=[,= \\]|$)")


def _key(text: str, special: re.Pattern[str] = _KEY_SPECIAL) -> str:
    """A measurement, tag or field key, or a tag value.

    The protocol has no escape for a backslash there: one that stands before a separator or at the end would eat it,
    so it becomes a slash. Control characters become `_`.
    """
    if text.isalnum():
        return text
    text = _UNWRITABLE_IN_KEY.sub("_", text)
    if "\\" in text:
        text = _BACKSLASH_TRAP.sub("/", text)
    return special.sub(r"\\\1", text)


def _value(name: str, value: FieldValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if value not in _INT64:
            raise LineError(f"field {name!r} = {value} does not fit in 64 bits")
        return f"{value}i"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise LineError(f"field {name!r} is {value}, which no engine stores")
        return repr(value)
    return '"' + portable(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Encoder:
    """Encodes points, with the same tags put on each; remembers the heads of series and the keys of fields.

    Own tags win over the point's of the same name, so that nothing a log line says can pose as another host; `defaults`
    are put on where the point has none of that name. A field of the same name as one of these tags gets a `_` behind
    it: engines refuse such points, or find them no more by that tag.
    The caches are cleared when they grow past `max_heads`: log-made series must not grow them without bound.
    """

    def __init__(
        self,
        tags: Mapping[str, str] | None = None,
        max_heads: int = 10_000,
        defaults: Mapping[str, str] | None = None,
    ) -> None:
        self._tags = {key: value for key, value in (tags or {}).items() if value}
        self._defaults = {key: value for key, value in (defaults or {}).items() if value}
        self._max_heads = max_heads
        self._heads: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self._keys: dict[str, str] = {}

    def line(self, point: Point) -> str:
        """One line without its newline.

        Raises:
            LineError: no field, a NaN or infinite float, an int beyond 64 bits, a tag or field called `time`.
        """
        identity = (point.measurement, tuple(point.tags.items()))
        head = self._heads.get(identity)
        if head is None:
            head = self._make_head(point)
            if len(self._heads) >= self._max_heads:
                self._heads.clear()
            self._heads[identity] = head
        keys = self._keys
        parts = []
        for name, value in point.fields.items():
            key = keys.get(name)
            if key is None:
                key = self._make_key(name)
            # The commonest types first and inline: this loop is the whole cost of encoding.
            if type(value) is float and value - value == 0.0:
                parts.append(f"{key}{value!r}")
            else:
                parts.append(key + _value(name, value))
        if not parts:
            raise LineError(f"measurement {point.measurement!r}: a point without fields")
        return f"{head} {','.join(parts)} {point.time}"

    def _make_head(self, point: Point) -> str:
        tags = {**self._defaults, **point.tags, **self._tags}
        if "time" in tags:
            raise LineError(f"measurement {point.measurement!r}: a tag cannot be called 'time'")
        if not point.measurement:
            raise LineError("a point without a measurement")
        pairs = "".join(f",{_key(name)}={_key(tags[name])}" for name in sorted(tags) if name and tags[name])
        return _key(point.measurement, _MEASUREMENT_SPECIAL) + pairs

    def _make_key(self, name: str) -> str:
        if name == "time" or not name:
            raise LineError(f"a field cannot be called {name!r}")
        if len(self._keys) >= self._max_heads:
            self._keys.clear()
        taken = name in self._tags or name in self._defaults
        key = self._keys[name] = _key(f"{name}_" if taken else name) + "="
        return key


def encode(point: Point) -> bytes:
    """One point as a line without its newline, UTF-8. For many points keep an `Encoder`."""
    return Encoder().line(point).encode()


# ------------------------------------------------------------------------------------------------ reading

# A separator behind a backslash, or behind a run of them, is escaped, as the engines read it. Possessive: a line of
# backslashes must not cost exponential time.
_NAME: Final = r"(?:[^,= \n\\]|\\++[^\n\\])++"
_HEAD: Final = re.compile(rf"((?:[^, \n\\]|\\++[^\n\\])++)((?:,{_NAME}={_NAME})*+) ")
_TAG: Final = re.compile(rf",({_NAME})=({_NAME})")
_FIELD: Final = re.compile(
    rf"({_NAME})="
    r"(?:\"((?:[^\"\\]|\\.)*+)\"|([-+]?[0-9]+)i|([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
    r"|([tT](?:rue|RUE)?|[fF](?:alse|ALSE)?)(?=[, ]|\Z))"
)
_TIME: Final = re.compile(r" (-?[0-9]{1,19})")
_UNESCAPE_KEY: Final = re.compile(r"\\([,= ])")
_UNESCAPE_QUOTED: Final = re.compile(r'\\(["\\])')


def _unkey(text: str) -> str:
    return _UNESCAPE_KEY.sub(r"\1", text)


def parse(line: str, default_time: int = 0) -> Point:
    """The point of one line, its strings as they stand there (`unportable` is the reader's to call).

    A line without a time gets `default_time` (ns). Precision is always nanoseconds.

    Raises:
        LineError: the line is not line protocol, has a tag twice, a tag or field called `time`, an int beyond
            64 bits, or is over 1 MiB.
    """
    if len(line) > MAX_LINE_BYTES:
        raise LineError(f"the line is over {MAX_LINE_BYTES} bytes")
    head = _HEAD.match(line)
    if head is None:
        raise LineError("missing fields, or a bad measurement or tag")
    tags: dict[str, str] = {}
    for match in _TAG.finditer(head.group(2)):
        name = _unkey(match.group(1))
        if name in tags or name == "time":
            raise LineError("a tag cannot be called 'time'" if name == "time" else f"duplicate tag {name!r}")
        tags[name] = _unkey(match.group(2))
    fields, position = _parse_fields(line, head.end())
    rest = line[position:]
    if not rest:
        return Point(_unkey(head.group(1)), tags, fields, default_time)
    time = _TIME.fullmatch(rest)
    if time is None or int(time.group(1)) not in _INT64:
        raise LineError(f"bad timestamp {rest.strip()[:40]!r}")
    return Point(_unkey(head.group(1)), tags, fields, int(time.group(1)))


def _parse_fields(line: str, position: int) -> tuple[dict[str, FieldValue], int]:
    fields: dict[str, FieldValue] = {}
    while True:
        match = _FIELD.match(line, position)
        if match is None:
            raise LineError(f"bad field at column {position + 1}")
        name = _unkey(match.group(1))
        if name == "time":
            raise LineError("a field cannot be called 'time'")
        fields[name] = _field_value(match)
        position = match.end()
        if line[position : position + 1] != ",":
            return fields, position
        position += 1


def _field_value(match: re.Match[str]) -> FieldValue:
    _, quoted, integer, number, boolean = match.groups()
    if quoted is not None:
        return _UNESCAPE_QUOTED.sub(r"\1", quoted)
    if integer is not None:
        if len(integer) > 20 or int(integer) not in _INT64:
            raise LineError(f"{integer[:40]}i does not fit in 64 bits")
        return int(integer)
    if number is not None:
        value = float(number)
        if not math.isfinite(value):
            raise LineError(f"{number[:40]} is out of range")
        return value
    return boolean[0] in "tT"
