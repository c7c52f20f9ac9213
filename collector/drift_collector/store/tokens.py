"""Who may write to and read from an embedded store: tokens, kept as hashes, in the store's own file.

A token is 256 random bits, so a plain hash of it is enough: there is nothing to guess.
"""

import hashlib
import secrets
from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal, TypeAlias

from drift_agent.errors import InputError
from drift_collector.store.sqlite_file import open_file, told

Scope: TypeAlias = Literal["write", "read"]

PREFIX: Final = "dl_"


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token: `id` names it, `instance` is the one that it may write as ("" for any)."""

    id: str
    scope: Scope
    instance: str
    created: int
    """Unix ns."""


class Tokens:
    """The tokens of the store at `path`, which is made if it is not there.

    Raises:
        StoreError: the store cannot be opened, read or written.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection = open_file(path, create=True)
        self._lock = Lock()

    def add(self, scope: Scope, instance: str, now: int) -> tuple[Token, str]:
        """A new token and its secret, which is told here and never again. `now` is Unix ns."""
        secret = PREFIX + secrets.token_urlsafe(32)
        digest = _hash(secret)
        token = Token(digest.hex()[:12], scope, instance, now)
        with self._lock, told(self.path):
            self._connection.execute(
                "INSERT INTO token (id, hash, scope, instance, created) VALUES (?, ?, ?, ?, ?)",
                (token.id, digest, scope, instance, now),
            )
        return token, secret

    def all(self) -> list[Token]:
        """All of them, oldest first."""
        with self._lock, told(self.path):
            rows = self._connection.execute("SELECT id, scope, instance, created FROM token ORDER BY created, id")
            return [Token(*row) for row in rows]

    def revoke(self, token_id: str) -> Token:
        """Ends a token at once; a server that runs asks the file at each request.

        Raises:
            InputError: there is none of that id.
        """
        with self._lock, told(self.path):
            row = self._connection.execute(
                "DELETE FROM token WHERE id = ? RETURNING id, scope, instance, created", (token_id,)
            ).fetchone()
        if row is None:
            raise InputError(f"{token_id}: no such token; `drift token list` names those there are")
        return Token(*row)

    def find(self, secret: str) -> Token | None:
        """The token of this secret, None where there is none."""
        with self._lock, told(self.path):
            row = self._connection.execute(
                "SELECT id, scope, instance, created FROM token WHERE hash = ?", (_hash(secret),)
            ).fetchone()
        return None if row is None else Token(*row)

    def close(self) -> None:
        """Gives the file back; may be called twice."""
        self._connection.close()


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()
