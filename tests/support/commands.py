"""A command line run in this process, to its very end."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import typer

from drift_agent.cli.common import make_app, run


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Commands:
    """`drift` with some of its commands; `capsys` takes what they print."""

    def __init__(self, *register: Callable[[typer.Typer], None], capsys: pytest.CaptureFixture[str]) -> None:
        self._register = register
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ended:
        app = make_app("test")
        app.callback()(lambda: None)  # one command alone would otherwise need no name
        for register in self._register:
            register(app)
        before = sys.argv
        sys.argv = ["drift", *arguments]
        try:
            with pytest.raises(SystemExit) as ended:
                run(app, "drift")
        finally:
            sys.argv = before
        captured = self._capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, captured.out, captured.err)
