"""Text of hosts cannot move the cursor, colour, reorder or hide anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.text import cut, shown


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("/etc/motd", "/etc/motd"),
        ("naïve ☃ [bold]", "naïve ☃ [bold]"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines\ttab\r", "two\\nlines\\x09tab\\x0d"),
        ("\x9b2J", "\\x9b2J"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("byte \udcff", "byte \\xff"),
        ("tag \U000e0041", "tag \\U000e0041"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, safe: str) -> None:
    assert shown(text) == safe


@given(st.text())
def test_whatever_comes_in_only_what_prints_goes_out(text: str) -> None:
    assert shown(text).isprintable()


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert (cut("abc", 3), cut("abcd", 3), cut("", 0)) == ("abc", "abc…", "")
