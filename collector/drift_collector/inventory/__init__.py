"""Which instances should exist: no store is believed about that."""
