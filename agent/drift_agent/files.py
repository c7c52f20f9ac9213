"""Files that people write, read within bounds."""

from drift_agent.errors import DriftlineError
from drift_agent.units import format_bytes


def read_bounded(path: str, limit: int, error_class: type[DriftlineError], hint: str = "") -> str:
    """The text of a file of at most `limit` bytes of UTF-8.

    Raises:
        error_class: it cannot be read (`hint` then says what to do), is longer, or is no UTF-8.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(limit + 1)
        if len(raw) <= limit:
            return raw.decode()
    except OSError as error:
        raise error_class(f"{path}: cannot be read: {error.strerror}{hint}") from None
    except UnicodeDecodeError as error:
        raise error_class(f"{path}: is not UTF-8 at byte {error.start}") from None
    raise error_class(f"{path}: is over {format_bytes(limit)}, more than such a file may have")
