"""`drift`: everything that an operator types."""


def main() -> None:
    """Entry point of `drift`."""
