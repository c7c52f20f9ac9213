"""One instance for people: its verdict, why, and each outstanding item, expected against actual."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from drift_agent.model import AttributeValue
from drift_agent.schema import REST_KIND
from drift_agent.text import cut, shown
from drift_collector.fleet.model import Fleet, Verdict
from drift_collector.report.columns import age
from drift_collector.report.table import plain, state_text, trust_line
from drift_collector.store.base import DriftItem

_MARKS: Final = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "modified": ("~", "yellow"),
    "reverted": ("<", "cyan"),
}
_DIFF_STYLES: Final = {"+": "green", "-": "red", "@": "cyan"}
_ABSENT: Final = "-"

MAX_WORD: Final = 64
MAX_ATTRIBUTES: Final = 100
MAX_KEY: Final = 4096
MAX_VALUE: Final = 1000
MAX_DIFF: Final = 32 << 10
"""What is shown of each, in characters; honest agents send no more."""


def print_instance(fleet: Fleet, verdict: Verdict, items: Sequence[DriftItem], console: Console, now: int) -> None:
    """The whole text of `drift show`; `now` is Unix ns."""
    for line in [*_head(verdict, now), *_reasons(verdict), Text()]:
        console.print(line)
    for item in items:
        for line in _item(item, now):
            console.print(line, soft_wrap=True)  # the terminal folds: a path or digest that is copied stays whole
    if items:
        console.print()
    console.print(Text(trust_line(fleet)))


def _head(verdict: Verdict, now: int) -> Iterator[Text]:
    name = plain(verdict.host or verdict.instance)
    if verdict.host not in ("", verdict.instance):
        name.append(f" ({plain(verdict.instance)})")
    yield Text.assemble(state_text(verdict.state), "  ", name)
    facts = [
        f"image {plain(verdict.image)}",
        f"group {plain(verdict.group)}",
        "never seen" if verdict.last_seen is None else f"seen {_ago(verdict.last_seen, now)}",
    ]
    if verdict.since is not None:
        facts.append(f"in this state for {age(verdict.since, now)}")
    yield Text("  " + " · ".join(facts))


def _reasons(verdict: Verdict) -> Iterator[Text]:
    for reason in verdict.reasons:
        yield Text.assemble("  ", (reason.code, "bold"), f": {shown(reason.text)}")


def _item(item: DriftItem, now: int) -> Iterator[Text]:
    key = shown(cut(item.key, MAX_KEY))
    if item.kind == REST_KIND:
        yield Text(f"… {key}, which its agent did not send")
        return
    mark, style = _MARKS.get(item.change, ("?", ""))
    details = [_word(detail) for detail in (item.path_class, item.severity) if detail]
    if item.first_seen > 0:
        details.append(_ago(item.first_seen, now))
    about = f"  ({', '.join(details)})" if details else ""
    yield Text.assemble((f"{mark} {_word(item.change)}", style), f" {_word(item.kind)} ", (key, "bold"), about)
    yield from _attributes(item)
    for line in cut(item.diff, MAX_DIFF).split("\n"):
        if line:
            yield Text(f"    {shown(line.expandtabs())}", style=_DIFF_STYLES.get(line[:1], ""))


def _attributes(item: DriftItem) -> Iterator[Text]:
    names = sorted({*item.expected, *item.actual})
    width = max((len(_word(name)) for name in names), default=0)
    for name in names[:MAX_ATTRIBUTES]:
        label = f"    {_word(name):{width}}  "
        if item.change == "added":
            yield Text(f"{label}{_value(item.actual.get(name))}")
        elif item.change == "removed":
            yield Text(f"{label}{_value(item.expected.get(name))}")
        else:
            yield Text(f"{label}expected {_value(item.expected.get(name, _ABSENT))}")
            yield Text(f"{' ' * len(label)}actual   {_value(item.actual.get(name, _ABSENT))}")
    if len(names) > MAX_ATTRIBUTES:
        yield Text(f"    … {len(names) - MAX_ATTRIBUTES} more attributes")


def _word(text: str) -> str:
    return shown(cut(text, MAX_WORD))


def _value(value: AttributeValue) -> str:
    return shown(cut(value, MAX_VALUE)) if isinstance(value, str) else "none" if value is None else str(value).lower()


def _ago(moment: int, now: int) -> str:
    text = age(moment, now)
    return f"{text[1:]} ahead of our clock" if text.startswith("+") else f"{text} ago"
