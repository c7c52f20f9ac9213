"""The agent as it runs: schedule, signals, wiring."""
