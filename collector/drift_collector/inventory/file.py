"""An inventory as a text file: an instance a line. Whatever lists your instances can write it.

aws ec2 describe-instances --query 'Reservations[].Instances[].InstanceId' --output text | tr '\\t' '\\n' > fleet.txt
"""

import sys
from typing import Final

from drift_agent.errors import InputError

MAX_CHARACTERS: Final = 256
STANDARD_INPUT: Final = "-"
_BYTE_ORDER_MARK: Final = "\ufeff"
"""Windows puts it before text; as part of the first name it would make that instance SILENT."""


def read_inventory(path: str) -> frozenset[str]:
    """The instances that the file names; `-` is standard input. Empty lines and what follows a `#` do not count.

    Raises:
        InputError: it cannot be read, names nobody, or has a line that is no instance's name.
    """
    name = "standard input" if path == STANDARD_INPUT else path
    try:
        if path == STANDARD_INPUT:
            text = sys.stdin.read().removeprefix(_BYTE_ORDER_MARK)
        else:
            with open(path, encoding="utf-8-sig") as file:
                text = file.read()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{name}: is not text; an inventory has an instance a line") from None
    instances = set()
    for number, line in enumerate(text.splitlines(), 1):
        instance = line.partition("#")[0].strip()
        if not instance:
            continue
        if len(instance.split()) > 1 or len(instance) > MAX_CHARACTERS or not instance.isprintable():
            raise InputError(f"{name}: line {number} is no instance's name: one word a line, at most {MAX_CHARACTERS}")
        instances.add(instance)
    if not instances:
        raise InputError(f"{name}: names no instance; an inventory has an instance a line")
    return frozenset(instances)
