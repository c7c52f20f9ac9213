"""Table, JSON and the other documents."""
