"""Which files a section follows, and what they were called before they were rotated."""

import os
from pathlib import Path

import pytest

from drift_agent.logs import listing
from drift_agent.logs.listing import base_path, list_files, log_name


def _file(path: Path, at: int) -> str:
    """A file that was written last `at` seconds after the epoch."""
    path.write_text("a line\n")
    os.utime(path, (at, at))
    return str(path)


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("access.log", "access.log"),
        ("access.log.1", "access.log"),
        ("access.log.2.gz", "access.log"),
        ("access.log-20261123.gz", "access.log"),
        ("access.log-20261123-1795410089", "access.log"),
        ("access.log.1.bak", "access.log"),
        ("app-2.log", "app-2.log"),
        ("1", "1"),
    ],
)
def test_a_rotated_file_is_told_by_its_name_alone(name: str, before: str) -> None:
    assert base_path(f"/var/log/{name}") == f"/var/log/{before}"


def test_a_log_is_called_by_the_stem_that_its_file_had() -> None:
    assert log_name("/var/log/nginx/access.log.3.gz") == "access"
    assert log_name("/var/log/syslog.1") == "syslog"


def test_the_files_of_the_glob_come_before_the_rotated_ones_the_oldest_of_each_first(tmp_path: Path) -> None:
    live, old, older = (_file(tmp_path / name, at) for name, at in (("a.log", 30), ("a.log.1", 20), ("a.log.2", 10)))
    other = _file(tmp_path / "b.log", 25)
    found = [(one.path, one.matched) for one in list_files(str(tmp_path / "*.log"), [])]
    assert found == [(other, True), (live, True), (older, False), (old, False)]


def test_of_too_many_files_the_newest_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_FILES", 3)
    paths = [_file(tmp_path / f"{number}.log", number) for number in range(5)]
    assert [one.path for one in list_files(str(tmp_path / "*.log"), [])] == paths[2:]


def test_what_is_no_regular_file_and_what_gzip_cannot_read_is_none_of_ours(tmp_path: Path) -> None:
    wanted = _file(tmp_path / "a.log", 1)
    _file(tmp_path / "a.log.1.xz", 2)
    os.mkfifo(tmp_path / "b.log")
    (tmp_path / "c.log").mkdir()
    (tmp_path / "d.log").symlink_to("nowhere")
    assert [one.path for one in list_files(str(tmp_path / "*.log"), [])] == [wanted]
