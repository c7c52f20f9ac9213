"""docs/verdicts.md names every reason and every state that a report may give, and no other."""

import re
from pathlib import Path

import drift_collector.fleet as package
import product
from drift_collector.fleet.model import STATES

PAGE = (product.PROJECT / "docs" / "verdicts.md").read_text(encoding="utf-8")


def test_every_reason_is_documented_and_exists() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(package.__path__[0]).glob("*.py"))
    given = set(re.findall(r'Reason\(\s*"([a-z-]+)"', sources))
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == given


def test_states_stand_in_the_order_in_which_they_lead() -> None:
    assert [state.lower() for state in re.findall(r"^\| ([A-Z]+) \|", PAGE, re.MULTILINE)] == list(STATES)
