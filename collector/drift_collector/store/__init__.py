"""Where reports are kept and read from: one protocol, embedded SQLite and InfluxDB."""

from drift_collector.store.open import open_store

__all__ = ["open_store"]
