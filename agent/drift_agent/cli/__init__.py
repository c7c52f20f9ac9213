"""`drift-agent`: what runs on the server, and how to try it."""

import sys

from drift_agent.errors import EXIT_INTERRUPTED


def main() -> None:
    """Entry point of `drift-agent`."""
    try:  # what takes a while to load is loaded here, where ctrl-C is no traceback
        from drift_agent.cli.common import run
        from drift_agent.cli.program import command_line

        app = command_line()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    run(app, "drift-agent")
