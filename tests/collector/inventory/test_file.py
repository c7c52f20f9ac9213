"""An inventory is an instance a line, and never nobody."""

import io
import sys
from pathlib import Path

import pytest

from drift_agent.errors import InputError
from drift_collector.inventory.file import read_inventory


def test_lines_are_instances_comments_and_empty_lines_are_not(tmp_path: Path) -> None:
    file = tmp_path / "fleet.txt"
    file.write_text("# the web tier\ni-1\n\n  i-2  # canary\r\ni-1\n")
    assert read_inventory(str(file)) == {"i-1", "i-2"}


def test_what_windows_writes_names_the_same_instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fleet.txt"
    file.write_bytes("\ufeffi-1\r\ni-2\r\n".encode())
    assert read_inventory(str(file)) == {"i-1", "i-2"}
    monkeypatch.setattr(sys, "stdin", io.StringIO("\ufeffi-1\n"))
    assert read_inventory("-") == {"i-1"}


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("i-1\n"))
    assert read_inventory("-") == {"i-1"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "names no instance"),
        (b"# nobody\n", "names no instance"),
        (b"i-1\ni-2 i-3\n", "line 2 is no instance's name"),
        (b"i-\0001\n", "line 1 is no instance's name"),
        (b"i" * 300, "line 1 is no instance's name"),
        (b"\xff\xfe", "is not text"),
    ],
)
def test_what_is_no_inventory_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "fleet.txt"
    file.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_inventory(str(file))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: cannot be read: No such file"):
        read_inventory(str(tmp_path / "nowhere"))
