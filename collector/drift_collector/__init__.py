"""The operators' side: store, server, verdicts, report. Imports the agent's vocabulary, never the other way."""
