"""The agent's folder belongs to one agent at a time."""

from pathlib import Path

import pytest

from drift_agent.errors import ConfigError, LockHeldError
from drift_agent.state_dir import StateDir


def test_a_second_agent_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    with StateDir(path):
        with pytest.raises(LockHeldError, match="another agent") as caught:
            StateDir(path)
        assert caught.value.exit_code == 6
    with StateDir(path):
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"agent\.state_dir"):
        StateDir(str(tmp_path / "file" / "state"))
