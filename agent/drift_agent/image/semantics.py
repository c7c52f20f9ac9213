"""The version of what digests mean, and the names that it covers."""

from typing import Final

SEMANTICS: Final = 1
"""Raise it whenever the same tree under the same policy would give another digest: attributes, their canonical form,
their order, what a class normalises. Digests of different versions are never compared."""

HASH: Final = "sha256"

ATTRIBUTES: Final = ("type", "mode", "uid", "gid", "nlink", "target", "device", "flags", "sha256", "xattr")
"""Attributes of files that a rule can select, in canonical order. `xattr` stands for all `xattr.NAME`."""
