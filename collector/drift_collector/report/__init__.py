"""The forms of the report, in the order in which help names them; the first is the default."""

from typing import Final

from drift_agent.errors import ConfigError
from drift_collector.report import document, spreadsheet, table
from drift_collector.report.format import Format

FORMATS: Final[tuple[Format, ...]] = (table.FORMAT, document.FORMAT, spreadsheet.FORMAT)
FORMAT_NAMES: Final = "|".join(form.name for form in FORMATS)


def format_named(name: str) -> Format:
    """The form of that name.

    Raises:
        ConfigError: there is none.
    """
    for form in FORMATS:
        if form.name == name:
            return form
    raise ConfigError(f"--format {name}: is not one of {', '.join(form.name for form in FORMATS)}")
