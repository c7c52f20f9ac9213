"""`drift-agent`: what runs on the server, and how to try it."""


def main() -> None:
    """Entry point of `drift-agent`."""
