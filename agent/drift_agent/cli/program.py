"""The commands of `drift-agent`, each mounted in its place."""

import typer

from drift_agent.cli import agent, image, status
from drift_agent.cli.common import make_program


def command_line() -> typer.Typer:
    """Every command of `drift-agent`."""
    app = make_program("The agent that is baked into every machine image: metrics, logs, drift.")
    agent.register(app)
    status.register(app)
    app.add_typer(image.app, name="image")
    return app
