"""Reading /proc and /sys: whole files, and absence that is no failure."""

import os
from pathlib import Path

import pytest

from drift_agent.metrics import hostfs


def test_a_file_of_any_size_is_read_whole(tmp_path: Path) -> None:
    for size in (0, 1, 1 << 16, (1 << 16) + 1, 1 << 18):
        (tmp_path / "file").write_bytes(b"x" * size)
        assert hostfs.read(str(tmp_path / "file")) == b"x" * size


def test_what_is_not_there_is_none_and_what_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    assert hostfs.read_if_there(str(tmp_path / "nothing")) is None
    assert hostfs.read_int(str(tmp_path / "nothing")) is None
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        hostfs.read_if_there(str(tmp_path / "folder"))


@pytest.mark.parametrize("number", [19, 22, 95])
def test_a_device_without_the_value_has_none(number: int) -> None:
    """As `/sys/class/net/NAME/speed` answers while the link is down."""

    def refuse(_: str) -> bytes:
        raise OSError(number, os.strerror(number))

    assert hostfs.absent(refuse, "speed") is None


def test_sizes_are_bytes_and_counts_are_counts() -> None:
    data = b"MemTotal:  100 kB\nHugePages_Total:   3\nActive(anon):   7 kB\nodd line\n"
    assert hostfs.keyed_kib(data) == {b"MemTotal": 102400, b"HugePages_Total": 3, b"Active(anon)": 7168}
