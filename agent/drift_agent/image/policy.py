"""What of an image is compared, and how: ordered rules over paths, of which the last that matches decides.

What no rule names is frozen, with every attribute. A policy travels whole in the manifest's header: the agent and
`drift image check` use that one alone.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from drift_agent.errors import ManifestError
from drift_agent.image.globs import NO_RULE, Automaton, State, as_glob
from drift_agent.image.semantics import ATTRIBUTES, SEMANTICS
from drift_agent.model import PathClass, Severity

CLASSES: Final = get_args(PathClass)
SEVERITIES: Final = get_args(Severity)
BAKED_KINDS: Final = ("file", "group", "package", "service", "sysctl", "user")
"""Every kind that a manifest can hold, in its order."""

RULE_KINDS: Final = (*BAKED_KINDS, "module", "running_sysctl", "socket")
"""Every kind that a rule can speak of: those of the running machine too."""

STATE_FOLDER: Final = "/var/lib/driftline"
"""Where an image has the agent keep its state."""

MAX_RULES: Final = 10_000

ALL_ATTRIBUTES: Final = frozenset(ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `attributes` None means all that the class compares; `layer` says which file it came from."""

    path: str
    path_class: PathClass = "frozen"
    attributes: frozenset[str] | None = None
    severity: Severity = "medium"
    why: str = ""
    layer: str = ""
    kind: str = "file"

    def to_header(self) -> dict[str, object]:
        """Its form in a header; what is as by default is left out."""
        header: dict[str, object] = {"path": self.path, "class": self.path_class}
        if self.kind != "file":
            header["kind"] = self.kind
        if self.attributes is not None:
            header["attributes"] = [name for name in ATTRIBUTES if name in self.attributes]
        if self.severity != "medium":
            header["severity"] = self.severity
        if self.why:
            header["why"] = self.why
        if self.layer:
            header["layer"] = self.layer
        return header


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy says of one path. `rule` is the index of the rule that decided, -1 where none matched."""

    path_class: PathClass = "frozen"
    attributes: frozenset[str] = ALL_ATTRIBUTES
    severity: Severity = "medium"
    rule: int = NO_RULE
    why: str = "no rule names it, so it must equal the image"


DEFAULT_DECISION: Final = Decision()

DETOUR: Final = Decision(
    "sealed", severity="high", why="rules name something below: a link in the folder's place leads away from it"
)
"""What holds for a link where the path is ignored, and something below it is not. First boot may make it."""

LEFT_OUT: Final = tuple(
    Rule(path, "ignored", why=why, layer="driftline")
    for path, why in (
        ("/usr/lib/driftline/manifest.jsonl{,.sig}", "the manifest cannot hold itself"),
        ("/usr/lib/driftline/content/***", "contents kept beside the manifest"),
        (f"{STATE_FOLDER}/***", "the agent's own state"),
    )
)
"""Put behind the rules of every policy that is loaded or built with `Policy.of`."""


@dataclass(frozen=True)
class Policy:
    """Ordered rules, ready to be asked. Equal rules make an equal policy, with an equal digest."""

    rules: tuple[Rule, ...]
    kinds: tuple[str, ...] = BAKED_KINDS
    profile: str = ""
    _automatons: dict[str, Automaton] = field(init=False, repr=False, compare=False, default_factory=dict)
    _decisions: tuple[Decision, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        decisions = tuple(
            Decision(
                rule.path_class,
                ALL_ATTRIBUTES if rule.attributes is None else rule.attributes,
                rule.severity,
                index,
                rule.why,
            )
            for index, rule in enumerate(self.rules)
        )
        object.__setattr__(self, "_decisions", (*decisions, DEFAULT_DECISION))
        for kind in RULE_KINDS:
            patterns = [[_rooted(rule.path)] if rule.kind == kind else [] for rule in self.rules]
            self._automatons[kind] = Automaton(patterns)

    @classmethod
    def of(cls, rules: Iterable[Rule], kinds: Sequence[str] = BAKED_KINDS, profile: str = "") -> "Policy":
        """A policy of these rules, with what is left out by construction behind them.

        Raises:
            ValueError: a pattern that is none.
        """
        return cls((*rules, *LEFT_OUT), tuple(kind for kind in BAKED_KINDS if kind in kinds), profile)

    def leaving_out(self, manifest: str, contents: str) -> "Policy":
        """The same policy for a manifest that lies in its own tree at another place than the usual one."""
        more = [
            Rule(f"{as_glob(key)}{ending}", "ignored", why=LEFT_OUT[number].why, layer="driftline")
            for number, (key, ending) in enumerate(((manifest, "{,.sig}"), (contents, "/***")))
            if self.decide(key).path_class != "ignored"
        ]
        return Policy((*self.rules, *more), self.kinds, self.profile) if more else self

    def decide(self, path: str, kind: str = "file") -> Decision:
        """What holds for one path (or, of another kind, one name)."""
        return self.decision(self._automatons[kind].match(path))

    def top(self) -> State:
        """The state of `/`; `State.child` leads down the tree along with a scan."""
        return self._automatons["file"].top

    def state(self, path: str) -> State:
        """The state of one path."""
        return self._automatons["file"].match(path)

    def decision(self, state: State) -> Decision:
        """What holds where the automaton is in this state."""
        return self._decisions[state.rule]  # NO_RULE is -1: the default stands last

    def descends(self, state: State) -> bool:
        """Whether something below a folder in this state may be other than ignored."""
        if self._decisions[state.highest_below].path_class != "ignored":
            return True
        return self._compares_any(state, state.reachable())

    def of_link(self, state: State) -> Decision:
        """What holds where the automaton is in this state and a link stands there."""
        decision = self.decision(state)
        if decision.path_class == "ignored" and self._compares_any(state, state.named()):
            return DETOUR
        return decision

    def _compares_any(self, state: State, rules: Iterable[int]) -> bool:
        floor = state.highest_below
        return any(rule > floor and self._decisions[rule].path_class != "ignored" for rule in rules)

    def seals_account(self, name: str) -> bool:
        """Whether first boot may make this account."""
        return self.decide(name, "user").path_class == "sealed"

    def digest(self) -> str:
        """`<semantics>:sha256:<hex>` over the canonical form of the rules."""
        canonical = json.dumps(self.to_header(), sort_keys=True, separators=(",", ":")).encode()
        return f"{SEMANTICS}:sha256:{hashlib.sha256(canonical).hexdigest()}"

    def to_header(self) -> dict[str, object]:
        """The policy in full, as JSON values."""
        return {
            "profile": self.profile,
            "kinds": list(self.kinds),
            "rules": [rule.to_header() for rule in self.rules],
        }

    @classmethod
    def from_header(cls, header: object) -> "Policy":
        """What `to_header` gave.

        Raises:
            ManifestError: anything else; the message says what, not where.
        """
        if not isinstance(header, Mapping) or not isinstance(header.get("rules"), list):
            raise ManifestError("policy: must be an object with a list of rules")
        kinds, profile = header.get("kinds"), header.get("profile")
        if not isinstance(kinds, list) or not all(kind in BAKED_KINDS for kind in kinds):
            raise ManifestError(f"policy: kinds may hold {', '.join(BAKED_KINDS)}; is the manifest of a newer version?")
        if not isinstance(profile, str):
            raise ManifestError("policy: profile must be a string")
        if len(header["rules"]) > MAX_RULES:
            raise ManifestError(f"policy: has more than {MAX_RULES} rules")
        try:
            return cls(tuple(_rule(entry) for entry in header["rules"]), tuple(kinds), profile)
        except ValueError as error:
            raise ManifestError(f"policy: {error}") from None


def _rooted(pattern: str) -> str:
    return pattern if pattern.startswith("/") else f"/{pattern}"


def _rule(entry: Any) -> Rule:  # noqa: ANN401 (anything that JSON can hold)
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise ValueError("a rule must be an object with a path")
    path, why, layer = entry["path"], entry.get("why", ""), entry.get("layer", "")
    path_class, severity, kind = entry.get("class", ""), entry.get("severity", "medium"), entry.get("kind", "file")
    if path_class not in CLASSES or severity not in SEVERITIES or kind not in RULE_KINDS:
        raise ValueError(f"rule {path!r}: class, severity or kind is unknown")
    if not isinstance(why, str) or not isinstance(layer, str):
        raise ValueError(f"rule {path!r}: why and layer must be strings")
    names = entry.get("attributes")
    if names is not None and (not isinstance(names, list) or not all(name in ATTRIBUTES for name in names)):
        raise ValueError(f"rule {path!r}: attributes may hold {', '.join(ATTRIBUTES)}")
    return Rule(path, path_class, None if names is None else frozenset(names), severity, why, layer, kind)
