"""What every command shares: how it ends, and where a document goes."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated, Any, Final, Literal, NoReturn

import typer
from rich.console import Console

from drift_agent import __version__
from drift_agent.errors import EXIT_CODES, EXIT_FAILED, EXIT_OK, EXIT_USAGE, DriftlineError, InputError
from drift_agent.text import shown

# Typer keeps its copy of click private; its base of all usage errors is an ancestor of the one it exports.
_USAGE_ERROR: Final[type[Exception]] = next(
    cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException"
)

OutputOption = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output."),
]
BOXES_COLUMNS: Final = 80
"""On a narrower terminal boxes cut the names of options, and plain help does not."""
STANDARD_OUTPUT: Final = "-"
EPILOG: Final = "Exit codes: " + " · ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())


def make_app(help_: str) -> typer.Typer:
    """A group of commands in our manner: help where nothing was asked, no completion commands, exit codes shown."""
    boxes: Literal["rich"] | None = "rich" if shutil.get_terminal_size().columns >= BOXES_COLUMNS else None
    return typer.Typer(help=help_, epilog=EPILOG, no_args_is_help=True, add_completion=False, rich_markup_mode=boxes)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"driftline {__version__}")
        raise typer.Exit


def make_program(help_: str) -> typer.Typer:
    """The app of a whole program: a group that knows its version."""
    app = make_app(help_)

    def program(
        _version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
        ] = False,
    ) -> None: ...

    app.callback(help=help_, epilog=EPILOG)(program)
    return app


def run(app: typer.Typer, program: str) -> NoReturn:
    """Runs a command line to its end: one sentence on stderr and the right exit code for every error."""
    _open_what_was_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal's encoding does not have
    try:
        result = app(prog_name=program, standalone_mode=False)
        sys.stdout.flush()
    except DriftlineError as error:
        fail(program, str(error), error.exit_code)
    except (BrokenPipeError, SystemExit):  # the reader of our output went away: its right
        # No command ends the process itself: SystemExit is what click and rich make of a broken pipe, with code 1.
        _silence()
        sys.exit(EXIT_OK)
    except OSError as error:  # a full disk behind standard output; files have sentences of their own
        _silence()
        fail(program, f"{error.filename or 'standard output'}: {error.strerror}", EXIT_FAILED)
    except typer.Abort:
        fail(program, "aborted", EXIT_FAILED)
    except _USAGE_ERROR as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)  # names the option too
        message = message.replace("Value error, ", "")  # the library's word, which says nothing
        if not message or type(error).__name__ == "NoArgsIsHelpError":  # the help; with boxes it was printed before
            typer.echo(message, nl=bool(message))
            sys.exit(EXIT_USAGE)
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context is not None else ""
        fail(program, message.rstrip(".") + hint, EXIT_USAGE)
    sys.exit(result if isinstance(result, int) else EXIT_OK)


def _open_what_was_closed() -> None:
    """A standard stream that was closed at the start (`>&-`) is /dev/null: nobody reads, and that is no failure.

    Without it the next file to be opened would have that stream's number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)  # the daemon that `drift-agent run` becomes has it too
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8"))


def _silence() -> None:
    """What is still in the buffer of standard output goes nowhere: its flush at the end would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(program: str, message: str, code: int) -> NoReturn:
    """Says one sentence on stderr, control characters escaped, and ends the process."""
    sys.stderr.write(f"{program}: {shown(message)}\n")
    sys.exit(code)


class _Output(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # `run` knows what that means; rich would exit 1


def console() -> Console:
    """Standard output; plain where it is no terminal, and then as wide as its lines are."""
    return _Output(highlight=False, soft_wrap=not sys.stdout.isatty())


def write_document(text: str, output: str | None) -> None:
    """A document to standard output (`output` None or `-`), or whole to the file `output`.

    A file is written beside the one it replaces, then renamed, links followed; what is no regular file (a device, a
    pipe) is written into.
    """
    if output is None or output == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    path = os.path.realpath(output)
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return
        _replace(path, text)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror}") from None


def _replace(path: str, text: str) -> None:
    """The file's mode is kept; a new one gets what the umask allows."""
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)[:100]}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            umask = os.umask(0)
            os.umask(umask)
            mode = os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0o666 & ~umask
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def to_json(document: Mapping[str, Any]) -> str:
    """A document as indented JSON with a newline at its end; every character beyond ASCII escaped."""
    return json.dumps(document, indent=2) + "\n"
