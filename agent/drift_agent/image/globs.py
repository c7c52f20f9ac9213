"""Globs of paths, compiled together into one automaton that walks down a tree with the scan.

Syntax, one path component at a time (a pattern begins with `/`):

    *  ?  [a-z]   within a component; they match a leading dot too
    {a,b}         either; may hold several components, or nothing
    /**           any number of components; at the end: everything below, not the folder itself
    /***          at the end: the folder and everything below (rsync's form)

Asking for every path of a large tree would cost more than its stat: a `State` belongs to one folder, and for most
folders no pattern is left alive, so that the answer for everything below is already known.
"""

import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import Final

NO_RULE: Final = -1
MAX_EXPANSIONS: Final = 256


def expand_braces(pattern: str) -> list[str]:
    """The patterns that `{a,b}` stands for, in order.

    Raises:
        ValueError: braces that do not pair, or more than 256 patterns.
    """
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        if len(done) + len(waiting) > MAX_EXPANSIONS:
            raise ValueError(f"stands for more than {MAX_EXPANSIONS} patterns")
        current = waiting.pop(0)
        close = current.find("}")
        if close < 0:
            if "{" in current:
                raise ValueError("has a '{' without its '}'")
            done.append(current)
            continue
        start = current.rfind("{", 0, close)
        if start < 0:
            raise ValueError("has a '}' without its '{'")
        waiting[:0] = [current[:start] + part + current[close + 1 :] for part in current[start + 1 : close].split(",")]
    return done


def as_glob(key: str) -> str:
    """A pattern that matches just this path, as far as patterns can say it: `{`, `}` and bytes beyond UTF-8 are `?`."""
    return re.sub(r"[*?\[]", r"[\g<0>]", re.sub("[{}\ud800-\udfff]", "\0", key)).replace("\0", "?")


class _Node:
    """A place in the patterns: which rule ends here, and what may come next."""

    __slots__ = ("deep", "globs", "literals", "loops", "rule")

    def __init__(self, *, loops: bool = False) -> None:
        self.rule = NO_RULE
        self.loops = loops
        self.literals: dict[str, _Node] = {}
        self.globs: dict[str, _Node] = {}
        self.deep: _Node | None = None


class State:
    """What is known at one path: the highest rule that matches it, and what its children may become.

    `children_alike` says that every path below has this same state. `highest_below` is the highest rule that holds
    for everything below whatever its name.
    """

    __slots__ = (
        "_any_glob", "_globs", "_literals", "_other", "_owner", "_rest",
        "children_alike", "highest_below", "nodes", "rule",
    )  # fmt: skip

    def __init__(self, owner: "Automaton", nodes: "frozenset[_Node]") -> None:
        self._owner = owner
        self.nodes = nodes
        self.rule = max((node.rule for node in nodes), default=NO_RULE)
        self._rest = frozenset(node for node in nodes if node.loops)
        self._literals: dict[str, list[_Node]] = {}
        self._globs: list[tuple[re.Pattern[str], _Node]] = []
        for node in nodes:
            for name, child in node.literals.items():
                self._literals.setdefault(name, []).append(child)
            self._globs.extend((owner.regex(glob), child) for glob, child in node.globs.items())
        self._any_glob = owner.regexes({glob for node in nodes for glob in node.globs})
        self._other: State | None = None
        below = [node.globs["*"].deep for node in nodes if "*" in node.globs]
        self.highest_below = max((node.rule for node in (*self._rest, *below) if node is not None), default=NO_RULE)
        self.children_alike = not self._literals and not self._globs and self._rest == nodes

    def child(self, name: str) -> "State":
        """The state of the entry `name` in this folder."""
        if self.children_alike:
            return self
        literal = self._literals.get(name)
        matched = [node for regex, node in self._globs if regex.match(name)]
        if literal is None and not matched:
            return self._child_of_no_pattern()
        return self._owner.state(self._rest.union(literal or (), matched))

    def child_of_any(self, names: Sequence[str]) -> "State | None":
        """The one state of all these entries; None where some pattern tells one from the others."""
        if self.children_alike:
            return self
        if not self._literals.keys().isdisjoint(names) or (self._any_glob and any(map(self._any_glob.match, names))):
            return None
        return self._child_of_no_pattern()

    def _child_of_no_pattern(self) -> "State":
        if self._other is None:
            self._other = self._owner.state(self._rest)
        return self._other

    def reachable(self) -> set[int]:
        """Every rule that some path below could match."""
        return {node.rule for node in self._rest} | _rules_below(self.nodes)

    def named(self) -> set[int]:
        """Of these, the rules of patterns of which this very path is a part: not those that begin anywhere."""
        return _rules_below(node for node in self.nodes if not node.loops)


def _rules_below(nodes: Iterable[_Node]) -> set[int]:
    rules: set[int] = set()
    seen = set(nodes)
    waiting = list(seen)
    while waiting:
        node = waiting.pop()
        for child in (*node.literals.values(), *node.globs.values(), node.deep):
            if child is not None:
                rules.add(child.rule)
                if child not in seen:
                    seen.add(child)
                    waiting.append(child)
    return rules


class Automaton:
    """Patterns of numbered rules, compiled. The number of a later rule is higher, and the highest one wins."""

    def __init__(self, patterns: Iterable[Sequence[str]]) -> None:
        """
        Raises:
            ValueError: a pattern that is none; the message does not name it.
        """
        self._root = _Node()
        self._states: dict[frozenset[_Node], State] = {}
        self._regexes: dict[str, re.Pattern[str]] = {}
        for rule, alternatives in enumerate(patterns):
            for pattern in alternatives:
                for plain in expand_braces(pattern):
                    self._add(plain, rule)
        self.top: Final = self.state(self._closure([self._root]))

    def match(self, path: str) -> State:
        """The state of a path that begins with `/`."""
        state = self.top
        for name in path.split("/"):
            if name:
                state = state.child(name)
        return state

    def state(self, nodes: "frozenset[_Node]") -> State:
        """The one state of these nodes and of what they reach without a name."""
        state = self._states.get(nodes)
        if state is None:
            closed = self._closure(nodes)
            state = self._states.get(closed)
            if state is None:
                state = self._states[closed] = State(self, closed)
            self._states[nodes] = state
        return state

    def regex(self, glob: str) -> re.Pattern[str]:
        compiled = self._regexes.get(glob)
        if compiled is None:
            compiled = self._regexes[glob] = re.compile(fnmatch.translate(glob))
        return compiled

    def regexes(self, globs: Iterable[str]) -> re.Pattern[str] | None:
        """What matches where any of them does; None of none."""
        either = "|".join(fnmatch.translate(glob) for glob in sorted(globs))
        return re.compile(either) if either else None

    @staticmethod
    def _closure(nodes: Iterable[_Node]) -> "frozenset[_Node]":
        closed: set[_Node] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in closed:
                closed.add(node)
                if node.deep is not None:
                    waiting.append(node.deep)
        return frozenset(closed)

    def _add(self, pattern: str, rule: int) -> None:
        node = self._root
        names = _components(pattern)
        for position, name in enumerate(names):
            last = position == len(names) - 1
            if name == "***":
                node.rule = max(node.rule, rule)
                node = self._below(node, rule)
            elif name == "**" and last:
                node = self._below(node, rule)
            elif name == "**":
                if node.deep is None:
                    node.deep = _Node(loops=True)
                node = node.deep
            elif any(character in name for character in "*?["):
                node = node.globs.setdefault(name, _Node())
            else:
                node = node.literals.setdefault(name, _Node())
        node.rule = max(node.rule, rule)

    @staticmethod
    def _below(node: _Node, rule: int) -> _Node:
        """The node of everything below `node`: one component of any name, then a loop."""
        first = node.globs.setdefault("*", _Node())
        if first.deep is None:
            first.deep = _Node(loops=True)
        first.deep.rule = max(first.deep.rule, rule)
        return first.deep


def _components(pattern: str) -> list[str]:
    if not pattern.startswith("/"):
        raise ValueError("does not begin with '/'")
    names = pattern[1:].split("/") if pattern != "/" else []
    for position, name in enumerate(names):
        if name in ("", ".", ".."):
            raise ValueError("has an empty, '.' or '..' component")
        if name == "***" and position != len(names) - 1:
            raise ValueError("has '***' before its end")
    return names
