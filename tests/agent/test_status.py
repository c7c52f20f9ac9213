"""The running agent answers for itself."""

from pathlib import Path

import pytest

from drift_agent.errors import DriftlineError, InputError
from drift_agent.status import SOCKET, StatusServer, ask_agent


def test_the_answer_is_of_this_moment(tmp_path: Path) -> None:
    asked = []

    def document() -> dict[str, int]:
        asked.append(True)
        return {"asked": len(asked)}

    with StatusServer(tmp_path, document):
        assert ask_agent(str(tmp_path))["asked"] == 1
        assert ask_agent(str(tmp_path))["asked"] == 2
    assert not (tmp_path / SOCKET).exists()


def test_where_no_agent_runs_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(DriftlineError, match="no agent runs on"):
        ask_agent(str(tmp_path))


def test_the_socket_of_an_agent_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    StatusServer(tmp_path, dict)._listener.close()
    with pytest.raises(DriftlineError, match="no agent runs on"):
        ask_agent(str(tmp_path))
    with StatusServer(tmp_path, dict):
        assert ask_agent(str(tmp_path))


def test_a_folder_may_be_deeper_than_a_sockets_address(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 40)
    folder.mkdir()
    with StatusServer(folder, dict):
        assert ask_agent(str(folder))


def test_what_speaks_another_language_is_not_believed(tmp_path: Path) -> None:
    with StatusServer(tmp_path, lambda: {"schema": "other/1"}), pytest.raises(InputError, match="another version"):
        ask_agent(str(tmp_path))
