"""What a scan hands on of one place in the tree, and where it stands while it looks."""

from collections.abc import Callable
from dataclasses import dataclass

from drift_agent.image.globs import State
from drift_agent.image.policy import Decision
from drift_agent.image.stat_record import DESCEND, HIDDEN, HIDDEN_DESCEND, PLAIN, SINGLE, SINGLE_DESCEND, Stat


class Entry:
    """One entry of the tree that the policy does not ignore.

    `line` is its canonical line; empty where not even a stat was possible. `error` says what of it could not be read
    (its content, its list of names), `hidden_below` that the folder was not looked into. While it is `unfinished`
    somebody is at it, and it has no line. A `late` one says what was found out of a folder after its entry was handed
    on; if nothing is hidden below, it vanished meanwhile, and all below with it. The line of a `postponed` one lacks
    the digest, for its content was too much to be read now.
    """

    __slots__ = ("decision", "error", "hidden_below", "key", "late", "line", "postponed", "stat", "unfinished")

    def __init__(self, key: str, decision: Decision, line: bytes, error: str = "", hidden_below: bool = False) -> None:
        self.key = key
        self.decision = decision
        self.line = line
        self.error = error
        self.hidden_below = hidden_below
        self.late = self.postponed = False
        self.stat: Stat | None = None
        """Of what was given away: its stat as it was seen then."""
        self.unfinished: Callable[[], None] | None = None
        """Brings it on; to be called until it is None."""

    def finish(self) -> bool:
        """Waits until it is what it says; False where it has vanished meanwhile.

        Raises:
            ReadStoppedError: whoever sets the pace of reading said so.
        """
        while self.unfinished is not None:
            self.unfinished()
        return bool(self.line or self.error)


class OpenFolder:
    """An open folder: its descriptor (-1 while it is given up), its key, where the policy stands in it.

    `above` is where the policy stands in the folder that holds it under this `name`; the folder that holds the root,
    as `.`, has no key. `public` says whether every user may pass through it and all folders above.
    """

    __slots__ = ("_above", "_name", "_state", "descriptor", "key", "public")

    def __init__(self, descriptor: int, key: str, above: State, name: str = ".", public: bool = True) -> None:
        self.descriptor = descriptor
        self.key = key
        self.public = public
        self._above = above
        self._name = name
        self._state: State | None = None

    @property
    def state(self) -> State:
        """Where the policy stands in it; found when somebody asks, for most folders of a rescan need none."""
        if self._state is None:
            self._state = self.state_below(self._above, self._name)
        return self._state

    @staticmethod
    def state_below(state: State, name: str) -> State:
        """Where the policy stands at a name in a folder."""
        return state if name == "." else state.child(name)

    def path_of(self, name: str) -> str:
        """The key of a name in it."""
        return f"{self.key}/{name}" if len(self.key) > 1 else "/" if name == "." else f"/{name}"

    def held_by(self, descriptor: int) -> "OpenFolder":
        """The same folder, by another descriptor."""
        return OpenFolder(descriptor, self.key, self._above, self._name, self.public)


@dataclass(frozen=True, slots=True)
class Seen:
    """One name as it was looked at: its entry (None where it is ignored), its stat, whether it is to be entered."""

    name: str
    entry: Entry | None
    stat: Stat
    enter: bool = False

    @property
    def way(self) -> int:
        """How a cache hands it on."""
        if self.entry is None:
            return HIDDEN_DESCEND if self.enter else HIDDEN
        if self.entry.decision.path_class == "sealed":
            return SINGLE_DESCEND if self.enter else SINGLE
        return DESCEND if self.enter else PLAIN
