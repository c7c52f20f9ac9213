"""Installed packages, of dpkg and of rpm. A `package` is `name:architecture`, with version and state."""

from collections.abc import Iterator
from typing import Final

from drift_agent.image.facts import rpm
from drift_agent.image.facts.base import Context, Fact, Gathered, gathered, names_in, read_text, unique
from drift_agent.model import Attributes

STATUS: Final = "/var/lib/dpkg/status"
STATUS_FOLDER: Final = "/var/lib/dpkg/status.d"
"""One file a package: images that were made without dpkg keep them so."""

_WANTED: Final = ("Package", "Architecture", "Version", "Status")
_ABSENT: Final = ("not-installed", "config-files")


def gather(context: Context) -> Gathered | None:
    """Every package that is at least in part there; None where neither dpkg nor rpm has a database."""
    unreadable: dict[str, str] = {}
    texts = [read_text(context, STATUS, unreadable)]
    names = [name for name in names_in(context, STATUS_FOLDER, unreadable) if not name.endswith(".md5sums")]
    texts += [read_text(context, f"{STATUS_FOLDER}/{name}", unreadable) for name in names]
    from_rpm = rpm.packages(context, unreadable)
    if not unreadable and from_rpm is None and all(text is None for text in texts):
        return None
    found: dict[str, Attributes] = {}
    for text in texts:
        for stanza in stanzas(text or ""):
            state = stanza.get("Status", "install ok installed").split(" ")[-1]
            if "Package" in stanza and state not in _ABSENT:
                key = f"{stanza['Package']}:{stanza.get('Architecture', 'all')}"
                found[unique(found, key)] = {"version": stanza.get("Version", ""), "state": state}
    for key, attributes in (from_rpm or {}).items():
        found[unique(found, key)] = attributes
    return gathered("package", found, unreadable)


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """The paragraphs of a deb822(5) text, each with just the fields that are wanted here."""
    stanza: dict[str, str] = {}
    for line in text.split("\n"):
        if not line:
            if stanza:
                yield stanza
            stanza = {}
            continue
        name, separator, value = line.partition(":")
        if separator and name in _WANTED:
            stanza[name] = value.strip()
    if stanza:
        yield stanza


FACT: Final = Fact("package", (STATUS, STATUS_FOLDER, *rpm.FOLDERS), gather)
