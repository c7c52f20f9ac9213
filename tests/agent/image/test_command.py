"""Programs that are run for what they print."""

import errno
import time
from collections.abc import Callable

import pytest

from drift_agent.image.command import run
from waiting import PATIENCE


def test_it_gives_what_is_printed_in_a_plain_environment() -> None:
    assert run(["/bin/sh", "-c", 'printf "$1 %s" "$LC_ALL"', "sh", "a;b"]) == b"a;b C"


@pytest.mark.parametrize(
    ("attempt", "number", "words"),
    [
        (lambda: run(["no-such-program-anywhere"]), errno.ENOENT, "No such file"),
        (lambda: run(["/bin/sh", "-c", "echo first >&2; echo why >&2; exit 3"]), errno.EIO, "sh: why"),
        (lambda: run(["/bin/sh", "-c", "exit 3"]), errno.EIO, "sh: ended with 3"),
        (lambda: run(["/bin/sh", "-c", "echo error: a damaged record >&2"]), errno.EIO, "damaged record"),
        (lambda: run(["cat", "/dev/zero"], most=1 << 20), errno.EFBIG, "more than 1 MiB"),
    ],
)
def test_what_goes_wrong_is_told(attempt: Callable[[], object], number: int, words: str) -> None:
    with pytest.raises(OSError, match=words) as error:
        attempt()
    assert error.value.errno == number


def test_a_program_that_hangs_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(OSError, match="longer than"):
        run(["sleep", "9999"], seconds=0.2)
    assert time.monotonic() - began < PATIENCE


def test_a_warning_is_no_failure() -> None:
    assert run(["/bin/sh", "-c", "echo warning: old >&2; echo x"]) == b"x\n"
