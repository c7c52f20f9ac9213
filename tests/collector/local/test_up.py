"""`drift up`, as a user runs it: no configuration, ctrl-C ends it, and the next one finds everything again."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Self

import pytest
from rich.console import Console

from commands import Commands
from drift_agent.errors import LockHeldError
from drift_collector.cli.up import register
from drift_collector.local.up import Home, up
from waiting import PATIENCE, wait_until


class Running:
    """`drift up` in the background, over a root of one's own; ended on exit, whatever a test found."""

    def __init__(self, home: Home, root: Path) -> None:
        self._path = home.data.parent / "printed"
        self._file = self._path.open("w")
        self._stop = Event()
        console = Console(file=self._file, force_terminal=False, soft_wrap=True)
        self._thread = Thread(target=up, args=(home, console, self._stop, str(root)), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._file.close()

    @property
    def printed(self) -> str:
        self._file.flush()
        return self._path.read_text()

    def prints(self, text: str) -> None:
        wait_until(lambda: text in self.printed or not self._thread.is_alive(), what=f"{text!r} printed")
        assert text in self.printed


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "data", tmp_path / "state")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    etc = tmp_path / "root" / "etc"
    etc.mkdir(parents=True)
    (etc / "motd").write_text("hello\n")
    (tmp_path / "root" / "var").mkdir()
    (tmp_path / "root" / "var" / "other").write_text("not compared\n")
    return tmp_path / "root"


def test_a_second_up_finds_image_and_state_again(home: Home, root: Path) -> None:
    with Running(home, root) as first:
        first.prints("1 CLEAN")
        (root / "etc" / "motd").write_text("changed\n")
        first.prints("1 DRIFTED")
        (root / "etc" / "motd").write_text("hello\n")
        first.prints("1 reverted")
    baked = home.manifest.read_bytes()
    with Running(home, root) as second:
        second.prints("1 reverted")
        assert "Baked" not in second.printed
    assert home.manifest.read_bytes() == baked


def test_what_is_not_below_etc_is_not_compared(home: Home, root: Path) -> None:
    with Running(home, root) as running:
        running.prints("1 CLEAN")
    items = home.manifest.read_bytes().split(b"\n", 1)[1]
    assert b"/etc/motd" in items
    assert b"/var" not in items


def test_a_second_up_beside_the_first_is_refused(home: Home, root: Path) -> None:
    with Running(home, root) as running:
        running.prints("1 CLEAN")
        with pytest.raises(LockHeldError):
            up(home, Console(quiet=True), Event(), str(root))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_its_normal_end(tmp_path: Path, number: signal.Signals) -> None:
    environ = {**os.environ, "HOME": str(tmp_path)}
    command = [sys.executable, "-c", "from drift_collector.cli import main; main()", "up"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
    try:
        assert process.stdout is not None
        assert any("CLEAN" in line for line in process.stdout)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("variable", ["XDG_DATA_HOME", "XDG_STATE_HOME"])
def test_a_folder_that_cannot_be_written_in_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "")
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    ended = Commands(register, capsys=capsys)("up")
    assert (ended.code, ended.out) == (64, "")
    assert ended.err.startswith(f"drift: {tmp_path}/file/driftline")
    assert ended.err.endswith(
        f": cannot be written in: Not a directory; name a folder where this user may write as {variable}\n"
    )
