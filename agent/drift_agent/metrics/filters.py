"""Which interfaces, devices and file systems are looked at: shell patterns, decided once a name."""

import re
from collections.abc import Sequence
from fnmatch import translate
from typing import Final

MAX_REMEMBERED: Final = 10_000


class NameFilter:
    """`allows(name)`: it matches one of `only` (or `only` is empty), and none of `ignore`."""

    def __init__(self, only: Sequence[str] = (), ignore: Sequence[str] = ()) -> None:
        self._only = _compile(only)
        self._ignore = _compile(ignore)
        self._decided: dict[str, bool] = {}

    def allows(self, name: str) -> bool:
        decision = self._decided.get(name)
        if decision is None:
            decision = (self._only is None or self._only.match(name) is not None) and (
                self._ignore is None or self._ignore.match(name) is None
            )
            if len(self._decided) >= MAX_REMEMBERED:  # names that come and go without end
                self._decided.clear()
            self._decided[name] = decision
        return decision


def _compile(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(translate(pattern) for pattern in patterns)) if patterns else None
