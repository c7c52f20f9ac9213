"""`drift-agent`: what runs on the server, and how to try it."""

from drift_agent.cli import agent, image, status
from drift_agent.cli.common import make_app, run


def main() -> None:
    """Entry point of `drift-agent`."""
    app = make_app("The agent that is baked into every machine image: metrics, logs, drift.")
    agent.register(app)
    status.register(app)
    app.add_typer(image.app, name="image")
    run(app, "drift-agent")
