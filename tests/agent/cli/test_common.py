"""How every command ends, and where its text goes."""

from pathlib import Path

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
