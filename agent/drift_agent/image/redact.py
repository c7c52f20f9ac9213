"""Taking secrets out of text that leaves the host. Pure.

What is taken out: values of names that sound like a secret, PEM blocks, crypt hashes, credentials in URLs and in
Authorization headers, and words that look random. It errs on the side of taking out too much.
"""

import math
import re
from typing import Final

REDACTED: Final = "[redacted]"
MIN_RANDOM_LENGTH: Final = 20
MIN_RANDOM_BITS: Final = 3.6
"""Bits of entropy per character above which a word of letters and digits counts as random; English is near 3."""

MIN_RANDOM_DIGITS: Final = 3
MAX_LINE_CHARACTERS: Final = 500

_NAME: Final = r"""(?<! [\w.\-] ) [\w.\-]* (?:
    (?: pass | pwd | secret | token | api[_\-.]?key | credential | psk | community ) [\w.\-]*
    | (?: access | private | auth | sign(?:ing)? | encryption | master | session ) [_\-.]? key [\w.\-]*
    | (?: root | bind | user | admin | store | [_\-.] ) pw (?! [\w.\-] )
    ) ["']?"""
_NAMED: Final = re.compile(rf"(?ix) ( {_NAME} \s* (?: [:=]+ >? | > | \s ) \s* ) (?! \s ) (.+)")
_OPEN_VALUE: Final = re.compile(rf"(?ix) {_NAME} \s* [:=]+ \s* (?: [|>][+\-\d]* | .* \\ )? $")
"""A named value that goes on in the lines below, as far as they are indented: a block of YAML, a line that goes on."""

_URL: Final = re.compile(r"((?<![^\s:=\"'(<\[])//[^\s/:@]*:)[^\s/]+(@)")
_AUTHORIZATION: Final = re.compile(r"(?i)\b((?:bearer|basic|digest|token)\s+)[\w.~+/=-]{6,}")
_CRYPT: Final = re.compile(
    r"\{(?:S?SHA\d*|S?MD5|CRYPT|PBKDF2[\w-]*|ARGON2)\}\S+|\$(?:1|2[abxy]?|5|6|7|y|gy|argon2\w*|scrypt|apr1)\$[^\s:]+"
)
_KNOWN: Final = re.compile(
    r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{12,}|gh[opsur]_\w{8,}|glpat-[\w-]{8,}|xox[abprs]-[\w-]{8,}|[rs]k_(?:live|test)_\w+|eyJ[\w.-]{12,})"
)
_WORD: Final = re.compile(rf"[A-Za-z0-9+/_=.~-]{{{MIN_RANDOM_LENGTH},}}")
_PEM_BEGIN: Final = re.compile(r"-----BEGIN [A-Z0-9 ]+-----")
_PEM_END: Final = re.compile(r"-----END [A-Z0-9 ]+-----")


def redact_line(line: str) -> str:
    """One line without what looks like a secret, cut at 500 characters."""
    if len(line) > MAX_LINE_CHARACTERS:
        line = line[:MAX_LINE_CHARACTERS] + "…"
    line = _NAMED.sub(lambda match: match.group(1) + REDACTED, line)
    line = _URL.sub(rf"\g<1>{REDACTED}\g<2>", line)
    line = _AUTHORIZATION.sub(lambda match: match.group(1) + REDACTED, line)
    line = _KNOWN.sub(REDACTED, _CRYPT.sub(REDACTED, line))
    return _WORD.sub(lambda match: REDACTED if looks_random(match.group()) else match.group(), line)


def redact_blocks(lines: list[str]) -> list[str]:
    """The lines without what stands within PEM blocks, or below a named value that goes on; as many as before."""
    inside = False
    open_at: int | None = None
    done = []
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if inside and not _PEM_END.search(line):
            done.append(REDACTED)
            continue
        inside = bool(_PEM_BEGIN.search(line)) and not _PEM_END.search(line)
        if open_at is not None and (indent > open_at or not line.strip()):
            done.append(f"{line[:indent]}{REDACTED}" if line.strip() else line)
            continue
        open_at = indent if _OPEN_VALUE.search(line[:MAX_LINE_CHARACTERS].rstrip()) else None
        done.append(line)
    return done


def holds_key(content: bytes) -> bool:
    """Whether a file holds a private key: such a file is never kept."""
    return b"PRIVATE KEY" in content or b"PuTTY-User-Key-File" in content


def looks_random(word: str) -> bool:
    """Whether a word has letters and digits and so many different ones that no person wrote it."""
    if sum(map(str.isdigit, word)) < MIN_RANDOM_DIGITS or not any(map(str.isalpha, word)):
        return False
    if word.count("/") > len(word) // 8:  # a path
        return False
    counts = [word.count(character) for character in set(word)]
    bits = -sum(count / len(word) * math.log2(count / len(word)) for count in counts)
    return bits >= min(MIN_RANDOM_BITS, 0.8 * math.log2(len(word)))
