"""Running a program of the machine for what it prints: never through a shell, and within bounds."""

import errno
import os
from collections.abc import Sequence
from threading import Timer
from typing import Final

SECONDS: Final = 30.0
MAX_OUTPUT_BYTES: Final = 16 << 20

_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}
_SHOWN: Final = 200


def run(arguments: Sequence[str], seconds: float = SECONDS, most: int = MAX_OUTPUT_BYTES) -> bytes:
    """What the program prints, in the C locale.

    Raises:
        OSError: there is no such program (ENOENT); it failed, or complained of an error (EIO, with its words); it took
            longer than `seconds` (ETIMEDOUT), or printed more than `most` bytes (EFBIG).
    """
    import subprocess  # here, for the two cost a tenth of what an unchanged rescan takes, and only rpm needs them
    import tempfile

    with tempfile.TemporaryFile() as complaint:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaint, env=_ENVIRONMENT, cwd="/"
        )
        assert process.stdout is not None
        timer = Timer(seconds, process.kill)
        timer.daemon = True
        timer.start()
        try:
            with process:
                output = process.stdout.read(most + 1)
                if len(output) > most:
                    process.kill()
                process.wait()
        finally:
            finished = timer.is_alive()
            timer.cancel()
        if len(output) > most:
            raise OSError(errno.EFBIG, f"{arguments[0]} printed more than {most >> 20} MiB")
        if not finished:
            raise OSError(errno.ETIMEDOUT, f"{arguments[0]} took longer than {seconds:g} s")
        complaint.seek(0)
        words = complaint.read(1 << 16).decode("utf-8", "replace").strip()
    if process.returncode or "error:" in words:
        last = words.rpartition("\n")[2][:_SHOWN] or f"ended with {process.returncode}"
        raise OSError(errno.EIO, f"{os.path.basename(arguments[0])}: {last}")
    return output
