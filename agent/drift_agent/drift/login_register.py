"""Which of the logins that the sources tell of are new, and nobody's who may come. Pure but for what it remembers."""

import fnmatch
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from drift_agent.drift.login_messages import SESSION_MANAGER
from drift_agent.drift.login_records import CONSOLE, Login, address_of
from drift_agent.units import SECOND

SAME_LOGIN_NS: Final = 60 * SECOND
"""Within which a login from an address and one of the same user from a name are one."""

MAX_KEYS: Final = 1_000
"""So many are told; a host where more came from more places is no less tainted."""

MAX_HELD: Final = 20_000
"""Different ones that are held at a time: every user may write to a log."""


def key_of(login: Login) -> str:
    """What stands for it: whoever comes again from the same place is no news."""
    return f"{login.user}@{login.source}"


class Earliest:
    """The earliest login of each key, of those since `since` (Unix ns).

    `allowed` are glob patterns of users that may come. They are held nowhere: lines of theirs that somebody forged by
    the thousand leave as much room for the others.
    """

    def __init__(self, since: int, allowed: Sequence[str] = ()) -> None:
        self._since = since
        self._allowed = allowed
        self._by_key: dict[str, Login] = {}

    def take(self, logins: Iterable[Login]) -> None:
        """Adds what they tell of, one by one: what came before an error counts."""
        for login in logins:
            if login.at < self._since or self._may_come(login.user):
                continue
            known = self._by_key.get(key_of(login))
            if (login.at < known.at) if known else len(self._by_key) < MAX_HELD:
                self._by_key[key_of(login)] = login

    def by_time(self) -> list[Login]:
        """The earliest first."""
        return sorted(self._by_key.values(), key=lambda login: login.at)

    def _may_come(self, user: str) -> bool:
        return any(fnmatch.fnmatchcase(user, pattern) for pattern in self._allowed)


class Register:
    """Remembers whom it has told of."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._before: list[Login] = []

    def news(self, logins: Sequence[Login]) -> list[Login]:
        """Those of `logins` (the earliest first) that are to be told."""
        addressed = [login for login in logins if address_of(login.source)]
        times = _times_by_user([*self._before, *addressed])
        self._before = addressed[-MAX_KEYS:]
        fresh = []
        for login in logins:
            key = key_of(login)
            if key in self._told or len(self._told) >= MAX_KEYS:
                continue
            self._told.add(key)
            if not (_is_from_a_name(login) and _is_near(login.at, times.get(login.user, []))):
                fresh.append(login)
        return fresh


def _is_from_a_name(login: Login) -> bool:
    """A host's, or that of a service whose messages do not say from where: other records have the address."""
    return login.source not in (CONSOLE, SESSION_MANAGER) and address_of(login.source) is None


def _times_by_user(logins: Iterable[Login]) -> dict[str, list[int]]:
    times: dict[str, list[int]] = {}
    for login in logins:
        times.setdefault(login.user, []).append(login.at)
    return {user: sorted(each) for user, each in times.items()}


def _is_near(at: int, times: Sequence[int]) -> bool:
    """Whether one of the sorted `times` is within `SAME_LOGIN_NS`."""
    next_one = bisect_left(times, at - SAME_LOGIN_NS)
    return next_one < len(times) and times[next_one] <= at + SAME_LOGIN_NS
