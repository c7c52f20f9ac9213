"""InfluxDB-compatible writes in, the fleet page and JSON out."""
