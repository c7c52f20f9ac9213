"""Paths below a root as text: they begin with `/`, and no component is empty. Pure."""


def is_within(path: str, folder: str) -> bool:
    """Whether a path is the folder, or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def folders_above(path: str) -> list[str]:
    """Every folder above a path, the outermost first; `/` itself is left out."""
    names = path.split("/")[1:-1]
    return ["/" + "/".join(names[: count + 1]) for count in range(len(names))]
