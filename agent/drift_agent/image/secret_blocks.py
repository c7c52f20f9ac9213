"""Secrets that stand in other lines than their names: what of a text belongs to the line above. Pure."""

import re
from typing import Final

from drift_agent.image import secret_patterns as patterns

_BEGIN: Final = re.compile(r"(?i)-{4,5} ?BEGIN [\w ]+ ?-{4,5}")
_END: Final = re.compile(r"(?i)-{4,5} ?END [\w ]+ ?-{4,5}")
_VAULT: Final = re.compile(r"!vault\b")
_CONDITION: Final = re.compile(r"\s*(?:if|elif|while|until|for|case|def|function)\b")
_HEREDOC: Final = re.compile(r"<<-?\s*[\"'\\]?(\w+)")
_COMMENT: Final = re.compile(r"\s*(?:#|;|//|\*)")
_QUOTE: Final = re.compile(r"(?:[&!][^\s\"']*\s+|[(\[{]\s*|[bfru]{1,2}(?=[\"']))*(\"\"\"|'''|\"|'|`)", re.IGNORECASE)


class Below:
    """Told line by line, it says which belong to a key or a named value that began above."""

    def __init__(self, *, kubernetes: bool) -> None:
        """`kubernetes` says whether the text holds a Secret of Kubernetes, whose data go by any name."""
        self._kubernetes = kubernetes
        self._until: re.Pattern[str] | None = None
        """Everything is taken as far as a line that this finds."""
        self._takes_end = False
        self._indent: int | None = None
        """Everything is taken that is indented more than this."""
        self._list = False
        """So are the lines of a list that are indented as much."""
        self._next = False
        """The next line is taken, whatever it is."""

    def takes(self, line: str) -> bool:
        """Whether a secret stands in this line because of what stood above; one of its own is not looked for."""
        if self._until is not None:
            if not self._until.search(line):
                return True
            self._until = None
            if self._takes_end:
                return True
        elif not line.strip():
            return False
        elif self._goes_on(line):
            return True
        self._begin(line)
        return False

    def _goes_on(self, line: str) -> bool:
        if self._next:
            self._next = line.rstrip().endswith("\\")
            return True
        indent = _indent(line)
        if self._indent is not None and (indent > self._indent or (self._list and _is_entry(line, self._indent))):
            return True
        self._indent = None
        return False

    def _begin(self, line: str) -> None:
        self._indent, self._list, self._next = None, False, False
        if _BEGIN.search(line):
            self._take_until(None if _END.search(line) else _END, end=False)
        elif _VAULT.search(line) or (self._kubernetes and patterns.KUBERNETES_DATA.match(line)):
            self._indent = _indent(line)
        elif patterns.HINT.search(line) and not patterns.HARMLESS_BEGINNING.match(line):
            self._begin_named(line)

    def _begin_named(self, line: str) -> None:
        if element := patterns.ELEMENT.search(line):
            self._take_until(None if element["value"].strip() else re.compile("</"), end=False)
        elif assigned := patterns.ASSIGNED.search(line):
            self._begin_value(line, assigned["value"].rstrip())
        elif patterns.ENDS_WITH_NAME.search(line) and not patterns.KUBERNETES_SECRET.search(line):
            self._next = True

    def _begin_value(self, line: str, value: str) -> None:
        prose = _COMMENT.match(line) is not None
        heredoc, quote = _HEREDOC.search(value), _QUOTE.match(value)
        if heredoc is not None and not prose:
            self._take_until(re.compile(rf"^\s*{heredoc[1]}\s*$"), end=False)
        elif quote is not None and value.count(quote[1]) == 1 and not prose:
            self._take_until(re.compile(re.escape(quote[1])), end=True)
        elif not _is_done(line, value):
            self._indent, self._list = _indent(line), not value
            self._next = value.endswith("\\")

    def _take_until(self, until: re.Pattern[str] | None, *, end: bool) -> None:
        """`end` says whether the line that ends it is taken, too."""
        self._until, self._takes_end = until, end


def _is_done(line: str, value: str) -> bool:
    """Whether what is indented below is not of the value: it is a switch, or the line a condition."""
    if _CONDITION.match(line):
        return True
    return patterns.HARMLESS_VALUE.fullmatch(value) is not None and not value.startswith(("{", "[", "("))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_entry(line: str, indent: int) -> bool:
    return _indent(line) == indent and line.lstrip().startswith("- ")
