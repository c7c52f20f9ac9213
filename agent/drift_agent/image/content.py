"""Contents kept beside a manifest, by their SHA-256, so that a drifted file can be shown as a diff.

Only small text files of the frozen class that every user may read are kept, and none that holds a private key. The
folder is for root alone.
"""

import hashlib
import os
from typing import Final

from drift_agent.image import inspect
from drift_agent.image.redact import holds_key

MAX_CONTENT_BYTES: Final = 64 << 10


def folder_of(manifest: str) -> str:
    """Where the contents of the manifest at this path are kept."""
    return os.path.join(os.path.dirname(manifest), "content")


def is_text(content: bytes) -> bool:
    """Whether it is UTF-8 text without NUL bytes."""
    if b"\0" in content:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


class Contents:
    """A folder of contents. A folder that is not there holds none."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def create(self) -> None:
        """Makes the folder, for its owner alone.

        Raises:
            OSError: it cannot be made.
        """
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        os.chmod(self.folder, 0o700)

    def put(self, digest: str, content: bytes) -> None:
        """Keeps a content, if it is one that may be kept.

        Raises:
            OSError: it cannot be written.
        """
        path = os.path.join(self.folder, digest)
        if len(content) > MAX_CONTENT_BYTES or not is_text(content) or holds_key(content) or os.path.lexists(path):
            return
        temporary = f"{path}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)

    def get(self, digest: str) -> bytes | None:
        """The content of this digest; None where it is not kept, or is not what its name says."""
        try:
            descriptor = os.open(os.path.join(self.folder, digest), inspect.OPEN_FILE)
        except OSError:
            return None
        with open(descriptor, "rb") as file:
            try:
                content = file.read(MAX_CONTENT_BYTES + 1)
            except OSError:
                return None
        return content if hashlib.sha256(content).hexdigest() == digest else None
