"""What a fact is: a kind of item that is read out of a tree, rather than being a file of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from drift_agent.image import command
from drift_agent.image.canonical import order
from drift_agent.image.inspect import reason
from drift_agent.image.rootfs import RootFiles
from drift_agent.model import Attributes, Item


@dataclass(frozen=True, slots=True)
class Context:
    """What a fact may look at. `sealed` says of an account that first boot may make it; `image` salts digests.

    `run` gives what a program of the machine prints, or raises as `command.run`.
    """

    files: RootFiles
    image: str = ""
    sealed: Callable[[str], bool] = lambda _: False
    run: Callable[[Sequence[str]], bytes] = command.run


@dataclass(frozen=True, slots=True)
class Gathered:
    """The items of one kind, in order. `unreadable` holds sources that are there and could not be read, with why."""

    items: list[Item] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """One kind of item. `gather` gives None where the kind has no meaning in this tree.

    A change at or below one of `sources` may change the items.
    """

    kind: str
    sources: tuple[str, ...]
    gather: Callable[[Context], Gathered | None]


def gathered(kind: str, records: Mapping[str, Attributes], unreadable: dict[str, str] | None = None) -> Gathered:
    """The records, by key, as items in order."""
    items = [Item(kind, key, attributes) for key, attributes in records.items()]
    items.sort(key=lambda item: order(kind, item.key))
    return Gathered(items, unreadable or {})


def read_text(context: Context, key: str, unreadable: dict[str, str]) -> str | None:
    """The text of a file; where it cannot be read, notes why and gives None."""
    try:
        return context.files.text(key)
    except OSError as error:
        unreadable[key] = reason(error)
        return None


def names_in(context: Context, folder: str, unreadable: dict[str, str]) -> list[str]:
    """The sorted names in a folder; where it cannot be read, notes why and gives none."""
    try:
        return context.files.names(folder)
    except OSError as error:
        unreadable[folder] = reason(error)
        return []


def unique(records: Mapping[str, Attributes], key: str) -> str:
    """`key`, or where that is taken `key#2`, `key#3` …: a record that comes twice is two items."""
    candidate, number = key, 1
    while candidate in records:
        number += 1
        candidate = f"{key}#{number}"
    return candidate
