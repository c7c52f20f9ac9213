"""InfluxQL over HTTP: one query, its rows as they come, every kind of error as a sentence."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from drift_agent.errors import ConfigError, StoreError
from drift_agent.files import read_secret
from drift_collector.store.http import Http, answered, lines_of, text_of, token_of

CHUNK_ROWS: Final = 10_000
MAX_CHUNK_BYTES: Final = 64 << 20
"""A chunk is one line of JSON; 10,000 rows of reports are 8 MB, of items with diffs more."""
ALL_AT_ONCE: Final = 2_000
"""From this many instances on, asking for all of them is cheaper than naming them."""
_NAMES_LENGTH: Final = 8_000
"""Characters of names in one query: addresses are not endless. A name that is longer by itself is no honest one."""

Row: TypeAlias = dict[str, Any]
"""Columns and the tags of its series, by name; `time` is Unix ns. Strings are in their portable form."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one series; every row has a value for each column."""

    columns: tuple[str, ...]
    tags: Mapping[str, str]
    values: list[list[Any]]

    def is_whole(self, *, timed: bool) -> bool:
        """Whether that holds, of what a server sent; `timed` rows begin with their time, in ns."""
        width = len(self.columns)
        if timed and self.columns[:1] != ("time",):
            return False
        return all(len(row) == width and (not timed or type(row[0]) is int) for row in self.values)

    def row(self, values: list[Any]) -> Row:
        """One of `values` by name."""
        return {**dict(zip(self.columns, values, strict=True)), **self.tags}


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """A string value. Bound parameters (`params=`) would do, but 3.x does not know them at `/query`."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def named(instances: Collection[str], *, always: bool = False) -> Iterator[str]:
    """Conditions (` AND …`) that together mean these instances, each short enough for one query; none where none is.

    Where there are so many that asking for all is cheaper, one that is empty, unless they must be named `always`.
    Names that no query takes are left out then.
    """
    if len(instances) > ALL_AT_ONCE and not always:
        yield ""
        return
    group: list[str] = []
    room = _NAMES_LENGTH
    for name in dict.fromkeys(instances):
        if len(name) > _NAMES_LENGTH:
            continue
        if group and len(name) > room:
            yield f" AND ({' OR '.join(group)})"
            group, room = [], _NAMES_LENGTH
        group.append(f'"instance" = {literal(name)}')
        room -= len(name) + 20
    if group:
        yield f" AND ({' OR '.join(group)})"


def columns(names: Iterable[str]) -> str:
    """A list of identifiers."""
    return ", ".join(quoted(name) for name in names)


NEVER_WRITTEN: Final = "measurement not found"
"""openGemini's word for what InfluxDB answers with no rows."""


class InfluxQL:
    """Queries of one database."""

    def __init__(self, http: Http, database: str) -> None:
        self._http = http
        self._database = database

    def rows(self, query: str, *, timed: bool = True) -> Iterator[Row]:
        """The rows of one SELECT, or, where they are not `timed`, of a SHOW, in the order of the answer.

        Raises:
            StoreError: no such database, refused, an error in the body, or an answer that is none.
        """
        for table in self.tables(query, timed=timed):
            for values in table.values:
                yield table.row(values)

    def tables(self, query: str, *, timed: bool = True) -> Iterator[Table]:
        """The same as rows that stand together, which is quicker to look at; raises as `rows` does."""
        wanted = {"q": query, "db": self._database, "epoch": "ns", "chunked": "true", "chunk_size": str(CHUNK_ROWS)}
        # In the address, for 3.x does not look into a form.
        with self._http.open("GET", "/query", params=wanted) as response:
            if response.status_code != 200:
                raise StoreError(self._refusal(response.status_code, text_of(response)))
            for line in lines_of(response, MAX_CHUNK_BYTES):
                if line.strip():
                    yield from self._tables_of(line, timed=timed)

    def close(self) -> None:
        """Gives the connection back."""
        self._http.close()

    def _tables_of(self, line: bytes, *, timed: bool) -> list[Table]:
        try:
            document = json.loads(line)
            results = document.get("results", [])
            said = [str(part["error"]) for part in (document, *results) if "error" in part]
            errors = [error for error in said if error != NEVER_WRITTEN]
            tables = [
                Table(tuple(series["columns"]), series.get("tags") or {}, series["values"])
                for result in results
                for series in result.get("series", ())
            ]
            whole = all(table.is_whole(timed=timed) for table in tables)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            errors, tables, whole = [], [], False
        if errors:
            raise StoreError(self._refusal(200, errors[0]))
        if not whole:
            raise StoreError(self._nonsense())
        return tables

    def _nonsense(self) -> str:
        return f"{self._http.name}: its answer is not what InfluxDB sends; check the address"

    def _refusal(self, status: int, text: str) -> str:
        try:
            document = json.loads(text)
            said = str(document.get("error") or document.get("message") or text)
        except (ValueError, AttributeError, RecursionError):
            said = text
        said = said.strip()[:300]
        if status in (401, 403) or "authorization failed" in said or "not authorized" in said:
            return (
                f"{self._http.name}: refuses us ({said}); set DRIFTLINE_TOKEN, or DRIFTLINE_USERNAME and"
                " DRIFTLINE_PASSWORD_FILE"
            )
        if "database not found" in said or "no dbrp mapping" in said or ("bucket" in said and "not found" in said):
            scheme = "influxdbs" if self._http.base.startswith("https:") else "influxdb"
            url = f"{scheme}://{self._http.name}/{self._database}"
            return (
                f"{self._http.name}: has no database {self._database!r}; make it with `drift store init {url}`,"
                " or give a token that may read it"
            )
        if status == 404:
            return f"{self._http.name}: has no /query; is it InfluxDB? A collector is http://HOST:PORT"
        return answered(self._http.name, status, said)


def open_http(url: str, environ: Mapping[str, str]) -> tuple[Http, str, str]:
    """The session, the database and the organisation ("" where none is named) of `influxdb(s)://HOST:PORT/DB[?org=]`.

    Raises:
        ConfigError: the address lacks the database, the password file cannot be read, or the token is none.
    """
    parts = urlsplit(url)
    database = unquote(parts.path.strip("/"))
    org = parse_qs(parts.query).get("org", [""])[0]
    if not database:
        raise ConfigError(f"--store {url}: names no database; use influxdb://HOST:PORT/DATABASE")
    base = f"{'https' if parts.scheme == 'influxdbs' else 'http'}://{parts.netloc}"
    token = token_of(environ)
    if token:
        # 1.x and `/query` of 2.x take a token under the scheme Token; 3.x too.
        return Http(base, {"Authorization": f"Token {token}"}), database, org
    user = environ.get("DRIFTLINE_USERNAME", "")
    if user:
        file = environ.get("DRIFTLINE_PASSWORD_FILE", "")
        if not file:
            raise ConfigError("DRIFTLINE_USERNAME is set and DRIFTLINE_PASSWORD_FILE is not; set both")
        return Http(base, auth=(user, read_secret(file))), database, org
    return Http(base), database, org
