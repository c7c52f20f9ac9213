"""Items ⇄ the lines of a manifest, their order, and the digest over them. Pure.

A line is one JSON object without spaces, `{"kind":…,"key":…,attributes…}`: attributes of files in the order of
`semantics.ATTRIBUTES` and xattrs by name, those of other kinds by name. UTF-8; a string that is not (a file's name is
bytes) stands in base64 under its name with `_base64` behind it. The name of an xattr may hold anything, and is escaped
as a value is: it makes no member beside its own. Equal items have equal lines, so that comparing is comparing bytes.
"""

import base64
import json
import re
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Any, Final

from drift_agent.image.semantics import ATTRIBUTES
from drift_agent.model import Attributes, AttributeValue, Item

BASE64: Final = "_base64"
XATTR: Final = "xattr."
UNREADABLE: Final = "unreadable"
"""The attribute that marks what the bake could not read in full; nobody tries again, nor looks below."""

_POSITION: Final = {name: position for position, name in enumerate((*ATTRIBUTES, UNREADABLE))}

_HEX_DIGEST: Final = re.compile("[0-9a-f]{64}")
_PLAIN_BEGINNING: Final = re.compile(rb'\{"kind":"([a-z_]+)","key":"([^"\\\x00-\x1f]+)"[,}]')


class LineError(ValueError):
    """A line that is no item; the message says why."""


def order(kind: str, key: str) -> tuple[str, bytes]:
    """What manifests are sorted by: kind, then the key's bytes with `/` below every other byte.

    For paths that is the order of a depth-first walk with sorted names.
    """
    return kind, key_order(key)


def key_order(key: str) -> bytes:
    """The second half of `order`."""
    return key.encode("utf-8", "surrogateescape").replace(b"/", b"\0")


def place(line: bytes) -> tuple[str, bytes]:
    """Where a line stands, as `order` says; of most lines only the beginning is read for that.

    Raises:
        LineError: the line is no item.
    """
    plain = _PLAIN_BEGINNING.match(line)
    if plain is not None:
        return plain[1].decode(), plain[2].replace(b"/", b"\0")
    item = decode(line)
    return order(item.kind, item.key)


def string_member(name: str, value: str) -> str:
    """`"name":"value"`, or `"name_base64":"…"` where the value is not UTF-8; nothing in `name` needs an escape."""
    if value.isascii():
        return f'"{name}":{encode_basestring(value)}'
    try:
        value.encode()
    except UnicodeEncodeError:
        raw = value.encode("utf-8", "surrogateescape")
        return f'"{name}{BASE64}":"{base64.b64encode(raw).decode()}"'
    return f'"{name}":{encode_basestring(value)}'


def is_utf8(value: object) -> bool:
    """Whether it can be written as UTF-8. A text that holds half of a pair of surrogates cannot; any number can."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return True


def encode(item: Item) -> bytes:
    """The item's line, with its newline."""
    attributes = item.attributes
    members = [f'"kind":"{item.kind}"', string_member("key", item.key)]
    members += [member(name, attributes[name]) for name in sorted(attributes, key=_attribute_order)]
    return ("{" + ",".join(members) + "}\n").encode()


def decode(line: bytes) -> Item:
    """The item of a line.

    Raises:
        LineError: the line is no item.
    """
    try:
        values = json.loads(line.decode())  # bytes could be UTF-16 to it, or hold halves of characters
    except (ValueError, RecursionError):
        raise LineError("is not JSON") from None
    if not isinstance(values, dict):
        raise LineError("is not an object")
    if b"\\u" in line and not all(map(is_utf8, (*values, *values.values()))):
        raise LineError("has half a character, which is no text")
    kind = values.pop("kind", None)
    key = _take_key(values)
    if not isinstance(kind, str) or not kind or not kind.isascii():
        raise LineError("has no kind")
    if kind == "file" and not key.startswith("/"):
        raise LineError("has a path that does not begin with '/'")
    return Item(kind, key, dict(_attribute(name, value) for name, value in values.items()))


def _take_key(values: dict[str, Any]) -> str:
    key = values.pop("key", None)
    if key is None and isinstance(encoded := values.pop(f"key{BASE64}", None), str):
        key = _from_base64(encoded)
    if not isinstance(key, str) or not key or "\0" in key:
        raise LineError("has no key")
    return key


def _attribute(name: str, value: object) -> tuple[str, AttributeValue]:
    if not isinstance(value, str | int | bool | None):
        raise LineError(f"has an attribute {name} that is no plain value")
    if name.endswith(BASE64) and isinstance(value, str) and not _is_xattr(name, value):
        return name.removesuffix(BASE64), _from_base64(value)
    return name, value


def _is_xattr(name: str, value: str) -> bool:
    """Whether it is an xattr's digest, whose own name then ends like that."""
    return name.startswith(XATTR) and _HEX_DIGEST.fullmatch(value) is not None


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "surrogateescape")
    except ValueError:
        raise LineError("has a value that is not base64") from None


def _attribute_order(name: str) -> tuple[int, str]:
    return _POSITION.get(name, len(_POSITION)), name


def member(name: str, value: AttributeValue) -> str:
    """One attribute as it stands in a line."""
    if isinstance(value, str):
        return string_member(encode_basestring(name)[1:-1], value)
    return f"{encode_basestring(name)}:{json.dumps(value)}"


def difference(expected: Attributes, actual: Attributes) -> tuple[dict[str, AttributeValue], dict[str, AttributeValue]]:
    """The attributes that differ, as expected and as they are; one that only one side has is absent in the other."""
    names: Iterable[str] = {**expected, **actual}
    missing = object()
    differing = [name for name in names if expected.get(name, missing) != actual.get(name, missing)]
    return (
        {name: expected[name] for name in differing if name in expected},
        {name: actual[name] for name in differing if name in actual},
    )
