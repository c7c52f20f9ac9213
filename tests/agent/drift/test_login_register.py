"""What is told of the logins that were found: each once, however many sources tell of it."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift import login_register
from drift_agent.drift.login_records import Login
from drift_agent.drift.login_register import Earliest, Register, key_of
from drift_agent.units import SECOND

NAME, ADDRESS = "bastion.example.com", "203.0.113.7"


def login(source: str, second: int = 100, user: str = "admin") -> Login:
    return Login(user, source, "ssh", second * SECOND)


def news(register: Register, *logins: Login) -> list[str]:
    return [key_of(one) for one in register.news(sorted(logins, key=lambda one: one.at))]


def test_the_earliest_of_each_key_counts() -> None:
    earliest = Earliest(50 * SECOND)
    earliest.take([login(ADDRESS, 49), login(ADDRESS, 70), login(ADDRESS, 60), login("console", 55)])
    assert [(one.source, one.at // SECOND) for one in earliest.by_time()] == [("console", 55), (ADDRESS, 60)]


def test_what_came_before_an_error_counts() -> None:
    def fails() -> Iterator[Login]:
        yield login(ADDRESS)
        raise OSError

    earliest = Earliest(0)
    with pytest.raises(OSError):  # noqa: PT011
        earliest.take(fails())
    assert len(earliest.by_time()) == 1


def test_so_many_are_held_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_register, "MAX_HELD", 3)
    earliest = Earliest(0)
    earliest.take(login(ADDRESS, 100 - number, user=f"user-{number % 7}") for number in range(50))
    assert [one.user for one in earliest.by_time()] == ["user-0", "user-2", "user-1"]


def test_who_may_come_is_not_held_and_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any user may write lines of theirs to a log, more than are held, and then come in."""
    monkeypatch.setattr(login_register, "MAX_HELD", 3)
    earliest = Earliest(0, ["deploy", "ci-?"])
    earliest.take(login(f"192.0.2.{number}", user="deploy") for number in range(50))
    earliest.take(login(ADDRESS, user=user) for user in ("ci-7", "ci-77", "Deploy"))
    assert {one.user for one in earliest.by_time()} == {"ci-77", "Deploy"}


def test_each_is_told_once() -> None:
    register = Register()
    assert news(register, login(ADDRESS), login(ADDRESS, 300)) == ["admin@203.0.113.7"]
    assert news(register, login(ADDRESS, 500), login("console", 500)) == ["admin@console"]


@pytest.mark.parametrize("apart", [-60, 0, 60])
def test_a_name_within_a_minute_of_an_address_of_that_user_is_no_login_of_its_own(apart: int) -> None:
    assert news(Register(), login(ADDRESS), login(NAME, 100 + apart)) == ["admin@203.0.113.7"]


@pytest.mark.parametrize("other", [login(NAME, 161), login(NAME, 39), login(NAME, user="eve"), login("console")])
def test_another_login_is_told(other: Login) -> None:
    assert sorted(news(Register(), login(ADDRESS), other)) == sorted(["admin@203.0.113.7", key_of(other)])


def test_the_session_manager_is_no_name_of_a_host() -> None:
    assert len(news(Register(), login(ADDRESS), login("session-manager"))) == 2


def test_a_name_that_comes_with_the_next_look_is_that_of_the_address_before() -> None:
    register = Register()
    assert news(register, login(ADDRESS)) == ["admin@203.0.113.7"]
    assert news(register, login(NAME, 101)) == []


def test_a_name_that_was_an_address_once_stays_so() -> None:
    """A database tells of its earliest login whenever it is read; the journal only of what is new."""
    register = Register()
    assert news(register, login(ADDRESS), login(NAME)) == ["admin@203.0.113.7"]
    assert news(register) == []
    assert news(register, login(NAME), login(ADDRESS, 9000)) == []


def test_of_a_flood_a_thousand_are_told() -> None:
    register = Register()
    assert len(news(register, *(login(ADDRESS, user=f"user-{number}") for number in range(3000)))) == 1000
    assert news(register, login("console")) == []


SOME = st.builds(
    Login,
    st.sampled_from(["admin", "eve"]),
    st.sampled_from([NAME, ADDRESS, "::1", "console", "session-manager"]),
    st.just("ssh"),
    st.integers(0, 300 * SECOND),
)


@given(st.lists(st.lists(SOME)))
def test_no_key_is_told_twice_and_no_user_is_forgotten(looks: list[list[Login]]) -> None:
    register = Register()
    told = [key for look in looks for key in news(register, *look)]
    assert len(told) == len(set(told))
    assert {key.partition("@")[0] for key in told} == {one.user for look in looks for one in look}
