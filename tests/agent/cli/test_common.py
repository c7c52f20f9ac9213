"""How every command ends, and where its text goes."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer

from drift_agent.cli.common import make_program, run, write_document
from drift_agent.errors import (
    EXIT_CODES,
    ConfigError,
    DriftlineError,
    IncompleteError,
    InputError,
    LockHeldError,
    ManifestError,
    StoreError,
)


def ended(monkeypatch: pytest.MonkeyPatch, error: BaseException | None, *arguments: str) -> int:
    """The exit code of a program whose one command ends so."""
    app = make_program("A program.")

    @app.command()
    def go() -> None:
        if error is not None:
            raise error

    monkeypatch.setattr("sys.argv", ["program", *arguments])
    with pytest.raises(SystemExit) as caught:
        run(app, "program")
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DriftlineError("x"), 1),
        (InputError("x"), 1),
        (ManifestError("x"), 1),
        (StoreError("x"), 1),
        (IncompleteError("x"), 3),
        (LockHeldError("x"), 6),
        (ConfigError("x"), 64),
        (KeyboardInterrupt(), 130),
        (typer.Exit(2), 2),
        (None, 0),
    ],
)
def test_every_end_has_its_code(monkeypatch: pytest.MonkeyPatch, error: BaseException | None, code: int) -> None:
    assert ended(monkeypatch, error, "go") == code
    assert code in EXIT_CODES


@pytest.mark.parametrize("arguments", [[], ["go", "--bogus"], ["bogus"], ["go", "extra"]])
def test_a_mistake_in_the_arguments_is_64(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    assert ended(monkeypatch, None, *arguments) == 64


def test_a_mistake_in_a_choice_names_the_option_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_program("A program.")

    @app.command()
    def go(form: Annotated[Literal["text", "json"], typer.Option("--form")] = "text") -> None: ...

    monkeypatch.setattr("sys.argv", ["program", "go", "--form", "xml"])
    with pytest.raises(SystemExit, match="64"):
        run(app, "program")
    said = capsys.readouterr().err
    assert said.startswith("program: Invalid value for '--form': 'xml' is not one of 'text', 'json'")


@pytest.mark.parametrize("columns", ["60", "80"])
def test_without_arguments_the_help_is_shown_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert ended(monkeypatch, None) == 64
    shown = capsys.readouterr()
    assert shown.out.count("Usage: program [OPTIONS] COMMAND") == 1
    assert not shown.err


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_help_holds_every_option_whole_however_narrow_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    app = make_program("A program.")

    @app.command()
    def go(
        drift_retention: Annotated[str, typer.Option(metavar="DURATION", help="How long reports are kept.")] = "90d",
        require_tokens: Annotated[bool, typer.Option(help="Demand tokens on loopback too.")] = False,
    ) -> None: ...

    monkeypatch.setattr("sys.argv", ["program", "go", "--help"])
    with pytest.raises(SystemExit, match="0"):
        run(app, "program")
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("--drift-retention", "--require-tokens", "--no-require-tokens"))


def test_an_error_is_one_line_whatever_it_quotes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(monkeypatch, InputError("/x\n\x1b[31m: broken"), "go")
    assert capsys.readouterr().err == "program: /x\\n\\x1b[31m: broken\n"


def test_a_document_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    write_document("new\n", str(path))
    assert path.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="cannot be written"):
        write_document("x", str(tmp_path / "file" / "x"))


def test_a_dash_is_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_document("text\n", "-")
    assert capsys.readouterr().out == "text\n"
    assert not list(tmp_path.iterdir())


def test_a_document_follows_links_and_keeps_the_mode_of_what_it_replaces(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "link").symlink_to(real)
    write_document("new", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_what_is_no_file_is_written_into_and_never_replaced(tmp_path: Path) -> None:
    """`-o /dev/null` as root must not cost the machine its /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_document("text", str(pipe))
        assert os.read(reader, 100) == b"text"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_disk_behind_standard_output_is_one_sentence() -> None:
    code = "from drift_collector.cli import main; main()"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "image", "explain", "/etc/passwd"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "drift: standard output: No space left on device\n")


@pytest.mark.parametrize("arguments", [["--version"], ["image", "--help"], ["image", "explain", "/etc/passwd"]])
def test_a_reader_that_goes_away_is_no_failure(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-c", "from drift_collector.cli import main; main()", *arguments],
            stdout=pipe, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def closed(stream: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`drift` with these arguments, started without that standard stream."""
    code = f"""
import os, sys
os.close({stream})
os.execv(sys.executable, [sys.executable, "-c", "from drift_collector.cli import main; main()", *sys.argv[1:]])
"""
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--version"], ["image", "--help"], ["image", "explain", "/etc/passwd"]])
def test_standard_output_that_is_closed_is_no_failure(arguments: list[str]) -> None:
    done = closed(1, *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_document_is_written_and_the_exit_code_right_where_standard_streams_are_closed(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    manifest, document = str(tmp_path / "manifest.jsonl"), tmp_path / "check.json"
    baked = closed(1, "image", "bake", "--root", str(tmp_path / "etc"), "--image", "a", "-o", manifest)
    assert (baked.returncode, baked.stderr) == (0, "")
    (tmp_path / "etc" / "new").touch()
    for stream in (0, 1, 2):
        arguments = ["--root", str(tmp_path / "etc"), "--manifest", manifest, "--format", "json", "-o", str(document)]
        assert closed(stream, "image", "check", *arguments).returncode == 2
        assert json.loads(document.read_text())["state"] == "drifted"
        document.unlink()
    assert closed(2, "image", "check", "--root", "/", "--manifest", "/nowhere").returncode == 1


@pytest.mark.parametrize("package", ["drift_agent", "drift_collector"])
def test_ctrl_c_while_a_command_is_still_loading_is_no_traceback(package: str) -> None:
    code = f"""
import sys
class CtrlC:
    def find_spec(self, name, *_):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, CtrlC())
from {package}.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
