"""Taking secrets out of text that leaves the host. Pure.

What is taken out: values of names that sound like a secret, wherever they go on, keys, hashes of passwords, credentials
in URLs, headers, arguments and files of their own, marked tokens (`secret_patterns`), and words that look random. It
errs on the side of taking out too much; switches, files and lines that just speak of passwords stay.
"""

import math
import re
from typing import Final

from drift_agent.image import secret_patterns as patterns
from drift_agent.image.secret_blocks import Below

REDACTED: Final = "[redacted]"
MIN_RANDOM_LENGTH: Final = 20
MIN_RANDOM_BITS: Final = 3.6
"""Bits of entropy per character above which a word of letters and digits counts as random; English is near 3."""

MIN_RANDOM_DIGITS: Final = 3
MAX_LINE_CHARACTERS: Final = 500

_SHAPES: Final = tuple((pattern, kept.replace("{}", REDACTED)) for pattern, kept in patterns.SHAPES)
_WORD: Final = re.compile(rf"[A-Za-z0-9+/_=.~-]{{{MIN_RANDOM_LENGTH},}}")
_LAST_WORD: Final = re.compile(r"\S{1,100}$")
_PIECE: Final = re.compile(r"[A-Za-z0-9]+")
_PLAIN_PIECE: Final = re.compile(r"[A-Za-z]\d{1,3}|\d{1,8}|\d{1,6}[A-Za-z]{1,2}|([A-Za-z]{2,})\d{0,4}")
_TURN: Final = re.compile(r"(?<=[a-z])[A-Z]|(?<=[A-Za-z])\d|(?<=\d)[A-Za-z]")
_LEAST_PLAIN: Final = 0.8
"""The share of a word's letters and digits above which it is made of words and numbers, such as a path."""


def redact_line(line: str) -> str:
    """One line without what looks like a secret, cut at 500 characters, and there not within a word."""
    if len(line) > MAX_LINE_CHARACTERS:
        line = _LAST_WORD.sub("", line[:MAX_LINE_CHARACTERS]) + "…"
    if patterns.HINT.search(line):
        line = _without_named(line)
    for pattern, replacement in _SHAPES:
        line = pattern.sub(replacement, line)
    return _WORD.sub(lambda match: REDACTED if looks_random(match.group()) else match.group(), line)


def _without_named(line: str) -> str:
    beginning = patterns.HARMLESS_BEGINNING.match(line)
    kept = beginning.end() if beginning is not None else 0
    line = line[:kept] + patterns.NAMED.sub(_without_value, line[kept:])
    if patterns.KUBERNETES_SECRET.search(line):
        line = patterns.KUBERNETES_ONE_LINE.sub(rf"\1{REDACTED}", line)
    return line


def _without_value(match: re.Match[str]) -> str:
    if patterns.HARMLESS_VALUE.fullmatch(match["value"]):
        return match.group()
    if match["separator"].isspace() and match.string[match.start() - 1 : match.start()] == "/":  # a program, or a file
        return match["name"] + match["separator"] + patterns.NAMED.sub(_without_value, match["value"])
    return match["name"] + match["separator"] + REDACTED


def redact_blocks(lines: list[str]) -> list[str]:
    """The lines without what stands within keys, or below the name that it belongs to; as many as before."""
    below = Below(kubernetes=any(patterns.KUBERNETES_SECRET.search(line[:MAX_LINE_CHARACTERS]) for line in lines))
    done = []
    for line in lines:
        if below.takes(line[:MAX_LINE_CHARACTERS]):
            done.append(f"{line[: len(line) - len(line.lstrip())]}{REDACTED}" if line.strip() else line)
        else:
            done.append(line)
    return done


def holds_key(content: bytes) -> bool:
    """Whether a file holds a private key: such a file is never kept."""
    return any(mark in content for mark in (b"PRIVATE KEY", b"PuTTY-User-Key-File", b"Static key", b"AGE-SECRET-KEY-"))


def looks_random(word: str) -> bool:
    """Whether a word has letters and digits, or both cases, and so many different ones that no person wrote it."""
    if _is_composed(word):
        return False
    digits = sum(map(str.isdigit, word))
    mixed = digits and any(map(str.islower, word)) and any(map(str.isupper, word))
    if mixed and len(_TURN.findall(word)) >= len(word) / 5:
        return True
    if digits < MIN_RANDOM_DIGITS or not any(map(str.isalpha, word)):
        return False
    if word.count("/") > len(word) // 8:  # a path
        return False
    counts = [word.count(character) for character in set(word)]
    bits = -sum(count / len(word) * math.log2(count / len(word)) for count in counts)
    return bits >= min(MIN_RANDOM_BITS, 0.8 * math.log2(len(word)))


def _is_composed(word: str) -> bool:
    """Whether nearly all of it are words and numbers with something between them."""
    pieces = _PIECE.findall(word)
    plain = sum(len(piece) for piece in pieces if _is_plain(piece))
    return len(pieces) > 1 and plain >= _LEAST_PLAIN * sum(map(len, pieces))


def _is_plain(piece: str) -> bool:
    match = _PLAIN_PIECE.fullmatch(piece)
    return match is not None and len(_TURN.findall(match[1] or "")) <= len(piece) / 5
