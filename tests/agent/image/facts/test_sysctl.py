"""Names of parameters and what a file sets, as sysctl(8) reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.image.facts.sysctl import assignments, dotted, path_of


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("nothing", "nothing"),
    ],
)
def test_both_forms_of_a_name_are_one_parameter(name: str, path: str) -> None:
    assert path_of(name) == path
    assert path_of(dotted(name)) == path


@given(st.text(alphabet="ab./", max_size=8))
def test_a_name_is_brought_to_its_form_once(name: str) -> None:
    assert dotted(dotted(name)) == dotted(name)


@given(st.lists(st.tuples(st.from_regex(r"[a-z]+(\.[a-z]+){1,3}", fullmatch=True), st.integers())))
def test_what_is_set_is_read_in_its_order(pairs: list[tuple[str, int]]) -> None:
    text = "\n".join(f"  {name} = {value} " for name, value in pairs)
    assert assignments(text) == [(name, str(value)) for name, value in pairs]


@pytest.mark.parametrize("line", ["", "# a.b = 1", "  ; a.b = 1", "a.b", "= 1", "- = 1"])
def test_what_sets_nothing_is_passed_over(line: str) -> None:
    assert assignments(line) == []


def test_a_failure_that_may_be_ignored_sets_all_the_same() -> None:
    assert assignments("-a.b = 1\t 2") == [("a.b", "1 2")]
