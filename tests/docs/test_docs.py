"""The documents say what the code does: what is generated is current, and what is written by hand names what exists."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import product
import reference
from drift_agent.config import Config
from drift_agent.config_file import load
from drift_agent.image.policy_file import load_policy
from drift_agent.metrics import METRIC_OPTIONS

PAGES: Final = sorted(
    path
    for path in (
        product.PROJECT,
        *(product.PROJECT / name for name in ("docs", "docs/decisions", "grafana", "ansible")),
    )
    for path in path.glob("*.md")
)
COMMANDS: Final = dict(reference.commands())
NAMES: Final = [str(path.relative_to(product.PROJECT)) for path in PAGES]


def blocks(text: str) -> Iterator[str]:
    """The indented and the fenced code blocks of a page."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    text = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from fenced
    for block in re.findall(r"(?:^\n|\A)((?:^ {4}.*\n|^\n)+)", text, re.MULTILINE):
        yield re.sub(r"^ {4}", "", block, flags=re.MULTILINE)


def typed(text: str) -> Iterator[list[str]]:
    """The commands of ours that a page shows, word by word, in code blocks and in the middle of a sentence."""
    lines = [line for block in blocks(text) for line in block.replace("\\\n", " ").splitlines()]
    for line in (*lines, *re.findall(r"`([^`\n]+)`", text)):
        for part in re.split(r" [|&;·] |&& ", line.split("  #")[0]):
            if re.match(r"(drift|drift-agent) [a-z]+\b", part):
                yield part.split()


def find(words: list[str]) -> Any:
    """The command that the words call; None where they name a group."""
    for length in range(len(words), 1, -1):
        if found := COMMANDS.get(" ".join(words[:length])):
            return found
    assert any(name.startswith(" ".join(words[:2])) for name in COMMANDS), f"no such command: {' '.join(words)}"
    return None


@pytest.mark.parametrize("page", sorted((product.PROJECT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_generated_parts_are_current(page: Path) -> None:
    """`make docs` makes them anew."""
    text = page.read_text()
    assert text == reference.renewed(text)


def test_every_generated_part_has_its_place() -> None:
    pages = "".join(page.read_text() for page in PAGES)
    assert set(re.findall(r"<!-- generated: ([a-z-]+) -->", pages)) == set(reference.PARTS)


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_options_that_a_page_shows_exist(name: str) -> None:
    for words in typed((product.PROJECT / name).read_text()):
        command = find(words)
        if command is None:
            continue
        known = {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)} | {"--help"}
        used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= known, f"{' '.join(words)}: {', '.join(sorted(used - known))}"


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = product.PROJECT / name
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", NAMES)
def test_configuration_that_a_page_shows_is_right(name: str, tmp_path: Path) -> None:
    for block in blocks((product.PROJECT / name).read_text()):
        if re.search(r"^\[\[?(agent|image|metrics|spool|logs|outputs)\b", block, re.MULTILINE):
            toml = block.split("\n\ndrift", 1)[0].replace("…", "")
            tomllib.loads(toml)
            file = tmp_path / "agent.toml"
            file.write_text(toml)
            assert isinstance(load(str(file), {}, METRIC_OPTIONS), Config)


def test_policies_that_a_page_shows_are_right(tmp_path: Path) -> None:
    for block in blocks((product.PROJECT / "docs" / "policy.md").read_text()):
        if "[[rule]]" in block:
            file = tmp_path / "policy.toml"
            file.write_text(block)
            load_policy(str(file))


def test_every_option_says_what_it_does() -> None:
    silent = [
        f"{name} {one.opts[0]}"
        for name, command in COMMANDS.items()
        for one in command.params
        if not (one.help or "").strip()
    ]
    assert silent == []


def test_every_help_shows_the_exit_codes() -> None:
    assert [name for name, command in COMMANDS.items() if "Exit codes" not in (command.epilog or "")] == []
