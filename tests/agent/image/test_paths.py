"""Paths as text: what lies above and below what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.image.paths import folders_above, is_within

names = st.text(alphabet="ab.", min_size=1, max_size=3)
paths = st.lists(names, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))


@given(paths, paths)
def test_a_path_is_within_another_where_that_is_itself_or_stands_above_it(path: str, folder: str) -> None:
    assert is_within(path, folder) == (folder in (*folders_above(path), path))


@given(paths)
def test_everything_is_within_the_root(path: str) -> None:
    assert is_within(path, "/")
    assert is_within("/", "/")


@pytest.mark.parametrize(("path", "above"), [("/", []), ("/etc", []), ("/etc/ssh/sshd_config", ["/etc", "/etc/ssh"])])
def test_the_folders_above_come_from_the_outermost(path: str, above: list[str]) -> None:
    assert folders_above(path) == above


def test_a_name_that_only_begins_alike_is_not_within() -> None:
    assert not is_within("/etc/sshd", "/etc/ssh")
