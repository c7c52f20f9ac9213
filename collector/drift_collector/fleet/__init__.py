"""Verdicts: pure."""
