"""Where reports are kept and read from: one protocol, embedded SQLite and InfluxDB."""
