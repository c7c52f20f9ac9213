"""Where an operator's machine keeps what is ours."""

import os
import pwd
from pathlib import Path

import pytest

from drift_agent.errors import ConfigError
from drift_collector.paths import data_home, make_folder, state_home


def test_the_xdg_folders_are_taken_where_they_are_named() -> None:
    environ = {"XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s", "HOME": "/h"}
    assert data_home(environ) == Path("/d/driftline")
    assert state_home(environ) == Path("/s/driftline")


def test_a_relative_xdg_folder_is_ignored_as_the_specification_demands() -> None:
    assert data_home({"XDG_DATA_HOME": "d", "HOME": "/h"}) == Path("/h/.local/share/driftline")
    assert state_home({"HOME": "/h"}) == Path("/h/.local/state/driftline")


def test_without_a_home_the_accounts_own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert data_home({}) == data_home({"HOME": ""}) == own / ".local/share/driftline"
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    with pytest.raises(ConfigError, match=r"no home folder; .* as XDG_STATE_HOME"):
        state_home({})


def test_a_folder_is_made_for_its_user_alone_or_the_error_says_what_to_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "a" / "b", "XDG_DATA_HOME")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(ConfigError, match=r"Permission denied; .* as XDG_DATA_HOME"):
        make_folder(tmp_path / "a" / "b", "XDG_DATA_HOME")
