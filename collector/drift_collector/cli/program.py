"""The commands of `drift`, each mounted in its place."""

import typer

from drift_agent.cli import agent, image, status
from drift_agent.cli.common import make_app, make_program
from drift_collector.cli import demo, report, serve, show, store, token, up


def command_line() -> typer.Typer:
    """Every command of `drift`."""
    app = make_program("Is every server still what was baked, and how is it doing?")
    for command in (report, show, up, demo, serve, store, token):
        command.register(app)
    app.add_typer(image.app, name="image")
    agent_app = make_app("The agent that is baked into every machine image (the same as drift-agent).")
    agent.register(agent_app)
    status.register(agent_app)
    app.add_typer(agent_app, name="agent")
    return app
