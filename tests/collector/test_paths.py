"""Where an operator's machine keeps what is ours."""

from pathlib import Path

from drift_collector.paths import data_home, state_home


def test_the_xdg_folders_are_taken_where_they_are_named() -> None:
    environ = {"XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s", "HOME": "/h"}
    assert data_home(environ) == Path("/d/driftline")
    assert state_home(environ) == Path("/s/driftline")


def test_a_relative_xdg_folder_is_ignored_as_the_specification_demands() -> None:
    assert data_home({"XDG_DATA_HOME": "d", "HOME": "/h"}) == Path("/h/.local/share/driftline")
    assert state_home({"HOME": "/h"}) == Path("/h/.local/state/driftline")
