"""Records of the account files: none comes or goes unseen, and no hash is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.image.facts.accounts import in_the_open, members, number, password, records

fields = st.text(alphabet="ab#\udc80", max_size=3)
lines = st.lists(fields, min_size=1, max_size=5).map(":".join)


@given(st.lists(lines, max_size=6), st.integers(1, 5))
def test_every_line_but_comments_and_empty_ones_is_a_record_of_so_many_fields(texts: list[str], count: int) -> None:
    found = list(records("\n".join(texts), count))
    assert len(found) == sum(bool(text) and not text.startswith("#") for text in texts)
    assert {len(record) for record in found} <= {count}


@given(lines, lines)
def test_lines_of_another_number_of_fields_are_told_apart_and_are_no_accounts(one: str, other: str) -> None:
    (first,), (second,) = (list(records(f"x{text}:::::::", 3)) for text in (one, other))
    assert first[0].startswith("malformed:")
    assert (first == second) == (one == other)


@pytest.mark.parametrize(("field", "says"), [("", "none"), ("!", "locked"), ("*", "locked"), ("!$6$a", "locked")])
def test_a_field_without_a_hash_says_so(field: str, says: str) -> None:
    assert password(field, "web", "root") == {"password": says}


@given(st.text(min_size=1).filter(lambda field: field[0] not in "!*"))
def test_a_set_password_is_known_by_a_digest_of_its_own_in_each_image_and_account(field: str) -> None:
    told = [password(field, *salt) for salt in (("web", "a"), ("web", "b"), ("db", "a"))]
    assert {one["password"] for one in told} == {"set"}
    assert len({one["password_sha256"] for one in told}) == 3
    assert password(field, "web", "a") == told[0]


def test_image_and_account_do_not_run_into_each_other() -> None:
    assert password("$6$h", "web", "1a") != password("$6$h", "web1", "a")


def test_only_an_x_leaves_the_password_to_the_shadow_file() -> None:
    assert in_the_open("x", "web", "a") == {}
    assert in_the_open("", "web", "a") == {"open_password": "none"}
    assert in_the_open("xx", "web", "a")["open_password"] == "set"


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("007", 7), ("-1", "-1"), ("", ""), ("٣", "٣"), ("1" * 12, "1" * 12)]
)
def test_an_id_is_a_number_or_stays_as_it_is(text: str, value: object) -> None:
    assert number(text) == value


@given(st.lists(st.text(alphabet="ab", max_size=2)))
def test_members_are_a_set(names: list[str]) -> None:
    assert members(",".join(names)) == sorted({name for name in names if name})
