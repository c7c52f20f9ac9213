"""The agent's process: arguments, logging, signals. Holds no command-line library."""

import logging
import os
import sys

from drift_agent.agent import Agent
from drift_agent.clock import SystemClock
from drift_agent.config_file import load, require_outputs
from drift_agent.errors import EXIT_USAGE, DriftlineError
from drift_agent.metrics import METRIC_OPTIONS
from drift_agent.signals import calling_on_signals
from drift_agent.systemd import Notifier


def set_up_logging() -> None:
    """Log lines to stderr; under systemd's journal without a time of their own."""
    form = "%(levelname)s %(name)s: %(message)s"
    if "JOURNAL_STREAM" not in os.environ:
        form = "%(asctime)s " + form
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=form)
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def main(arguments: list[str]) -> int:
    """The daemon's process: `python -m drift_agent.daemon CONFIG`. Returns the exit code; SIGTERM and ctrl-C are 0."""
    if len(arguments) != 1:
        sys.stderr.write("drift-agent: usage: python -m drift_agent.daemon CONFIG\n")
        return EXIT_USAGE
    set_up_logging()
    try:
        config = load(arguments[0], os.environ, METRIC_OPTIONS)
        require_outputs(config)
        agent = Agent(config, SystemClock(), Notifier())
        with calling_on_signals(agent.stop.set):
            return agent.run()
    except DriftlineError as error:
        sys.stderr.write(f"drift-agent: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
