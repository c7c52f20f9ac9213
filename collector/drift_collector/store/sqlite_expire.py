"""Retention of the embedded store: in short steps, so that writers go between."""

from threading import Event
from typing import Final

from drift_collector.store.sqlite_write import SqliteWriter

_ROWS: Final = 10_000
_PAGES: Final = 1_000


def expire(writer: SqliteWriter, metrics_before: int, drift_before: int, stop: Event | None = None) -> int:
    """Deletes the points that are older than the two times (Unix ns), and what nothing else needs then.

    Returns how many points went; ends early, between two steps, once `stop` is set.

    Raises:
        StoreError: the store cannot be written.
    """
    deleted = 0
    for table, before in (("metric_point", metrics_before), ("drift_point", drift_before)):
        query = f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE time < ? LIMIT {_ROWS})"
        while not _stopped(stop) and (count := _step(writer, query, before)):
            deleted += count
    for table in ("newest", "seq"):
        _step(writer, f"DELETE FROM {table} WHERE time < ?", drift_before)
    if deleted:
        for table in ("seal", "latch"):
            _step(writer, f"DELETE FROM {table} WHERE instance NOT IN (SELECT instance FROM newest)")
        writer.prune()
        while not _stopped(stop) and _shrink(writer):
            pass
    return deleted


def _stopped(stop: Event | None) -> bool:
    return stop is not None and stop.is_set()


def _step(writer: SqliteWriter, query: str, *parameters: int) -> int:
    with writer.exclusive() as connection:
        return connection.execute(query, parameters).rowcount


def _shrink(writer: SqliteWriter) -> bool:
    """Gives some free pages back to the disk where they are many; those that are few will be filled again."""
    with writer.exclusive() as connection:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        if free * 5 < pages:
            return False
        # As a script: a pragma without rows is otherwise stepped once, and gives back one page.
        connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
        return True
