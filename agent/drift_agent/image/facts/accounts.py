"""Reading the account files: records of colon-separated fields, and what a password field says."""

import hashlib
from collections.abc import Iterator

from drift_agent.model import AttributeValue


def records(text: str, fields: int) -> Iterator[list[str]]:
    """The records of an account file, each with exactly `fields` fields; comments and empty lines left out.

    A line of another number of fields is one record whose name is `malformed:` and a digest of the line: it cannot be
    compared field by field, and must not come or go unseen.
    """
    for line in text.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        values = line.split(":")
        if len(values) == fields:
            yield values
        else:
            digest = hashlib.sha256(line.encode("utf-8", "surrogateescape")).hexdigest()
            yield [f"malformed:{digest[:16]}", *[""] * (fields - 1)]


def password(field: str, image: str, name: str) -> dict[str, AttributeValue]:
    """`password`: `locked`, `none` or `set`; and of a set one a digest that is salted with image and account.

    The hash itself never leaves this function: what is compared is whether it changed.
    """
    if not field:
        return {"password": "none"}
    if field[0] in "!*":
        return {"password": "locked"}
    salted = hashlib.sha256(b"\0".join(part.encode("utf-8", "surrogateescape") for part in (image, name, field)))
    return {"password": "set", "password_sha256": salted.hexdigest()}


def in_the_open(field: str, image: str, name: str) -> dict[str, AttributeValue]:
    """As `password`, under other names, of a file that every user may read; `x` there leaves it to the shadow file.

    Anything else is what counts at a login, whatever the shadow file says: neither may hide the other.
    """
    return {} if field == "x" else {f"open_{key}": value for key, value in password(field, image, name).items()}


def number(text: str) -> AttributeValue:
    """An id as a number; text that is none stays text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else text


def members(text: str) -> list[str]:
    """The names in a comma-separated list, sorted, each once."""
    return sorted({name for name in text.split(",") if name})
