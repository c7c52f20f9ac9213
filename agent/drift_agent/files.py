"""Files that people write, read within bounds."""

import os
import tomllib
from typing import Any, Final

from drift_agent.errors import ConfigError, DriftlineError
from drift_agent.units import format_bytes

MAX_SECRET_CHARACTERS: Final = 64 << 10
ENCODING: Final = "utf-8-sig"
"""UTF-8, without the mark that some editors put before it."""


def read_bounded(path: str, limit: int, error_class: type[DriftlineError], hint: str = "") -> str:
    """The text of a file of at most `limit` bytes of UTF-8.

    Raises:
        error_class: it cannot be read (`hint` then says what to do), is longer, or is no UTF-8.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(limit + 1)
        if len(raw) <= limit:
            return raw.decode(ENCODING)
    except OSError as error:
        raise error_class(f"{path}: cannot be read: {error.strerror}{hint}") from None
    except UnicodeDecodeError as error:
        raise error_class(f"{path}: is not UTF-8 at byte {error.start}") from None
    raise error_class(f"{path}: is over {format_bytes(limit)}, more than such a file may have")


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """The tables of a TOML text; `source` is what an error calls it.

    Raises:
        ConfigError: it is none, or none that can be read.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{source}: not TOML that can be read: its values are nested too deep") from None
    except ValueError:
        raise ConfigError(f"{source}: not TOML that can be read: a number in it has too many digits") from None


def read_secret(path: str) -> str:
    """What a secret's file holds, without blanks and newlines around it; of one that has no end, its beginning.

    `$CREDENTIALS_DIRECTORY` in `path` is expanded, for systemd's credentials.

    Raises:
        ConfigError: the file cannot be read or is empty; the message never holds its content.
    """
    expanded = os.path.expandvars(path)
    try:
        with open(expanded, encoding=ENCODING) as file:
            secret = file.read(MAX_SECRET_CHARACTERS).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{expanded}: the secret cannot be read: {reason}") from None
    if not secret:
        raise ConfigError(f"{expanded}: the file is empty; it must hold the secret")
    return secret
