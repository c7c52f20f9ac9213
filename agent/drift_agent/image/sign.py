"""Ed25519 signatures of manifests: detached, beside the file, `manifest.jsonl.sig`.

Keys and signatures are text files of one line, `driftline-KIND-v1 BASE64`. What is signed is the whole file with a
prefix that says what it is, so that a signature made for anything else never fits.
"""

import base64
import hashlib
import os
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from drift_agent.errors import IncompleteError, InputError
from drift_agent.image.manifest import Manifest

SUFFIX: Final = ".sig"
MAX_KEY_BYTES: Final = 4096

_PRIVATE: Final = "driftline-private-key-v1"
_PUBLIC: Final = "driftline-public-key-v1"
_SIGNATURE: Final = "driftline-signature-v1"
_CONTEXT: Final = b"driftline manifest v1\n"
_BLOCK: Final = 1 << 20


def keygen(private: str, public: str) -> str:
    """Makes a key pair: the private key for its owner alone; gives the public key's fingerprint.

    Raises:
        InputError: one of the files is there already, or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes_raw()
    _write(private, _PRIVATE, key.private_bytes_raw(), mode=0o600, exclusive=True)
    try:
        _write(public, _PUBLIC, raw, mode=0o644, exclusive=True)
    except InputError:
        os.unlink(private)  # half a pair is of no use, and would stand in the way of a whole one
        raise
    return fingerprint(raw)


def sign(manifest: str, private: str) -> str:
    """Signs a manifest; gives the path of the signature.

    Raises:
        InputError: key or manifest cannot be read, or the signature cannot be written.
    """
    key = Ed25519PrivateKey.from_private_bytes(_read(private, _PRIVATE, 32))
    _write(manifest + SUFFIX, _SIGNATURE, key.sign(_message(manifest)), mode=0o644, exclusive=False)
    return manifest + SUFFIX


def verify(manifest: str, public: str) -> str:
    """Checks a manifest's signature; gives the fingerprint of the key that fits.

    Raises:
        InputError: key, manifest or signature is missing or malformed.
        IncompleteError: the signature does not fit: the manifest was changed, or another key made it.
    """
    return _verify(manifest, public, lambda: _message(manifest))


def verify_open(manifest: Manifest, public: str) -> str:
    """As `verify`, and the header that was read is part of what the signature fits.

    Whoever can write to its folder may put one manifest there while it is opened and another while it is verified.
    """
    return _verify(manifest.path, public, lambda: _CONTEXT + bytes.fromhex(manifest.read_digest()))


def _verify(manifest: str, public: str, message: Callable[[], bytes]) -> str:
    raw = _read(public, _PUBLIC, 32)
    signature = _read(manifest + SUFFIX, _SIGNATURE, 64)
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message())
    except InvalidSignature:
        raise IncompleteError(
            f"{manifest}: the signature does not fit: the manifest was changed, or {public} is not the key that made it"
        ) from None
    return fingerprint(raw)


def fingerprint(public: bytes) -> str:
    """A short name of a public key: `SHA256:` and the first half of its digest."""
    return f"SHA256:{hashlib.sha256(public).hexdigest()[:32]}"


def _message(manifest: str) -> bytes:
    """What is signed: the digest of the file, in its context."""
    total = hashlib.sha256()
    try:
        with open(manifest, "rb") as file:
            while block := file.read(_BLOCK):
                total.update(block)
    except OSError as error:
        raise InputError(f"{manifest}: cannot be read: {error.strerror}") from None
    return _CONTEXT + total.digest()


def _read(path: str, kind: str, length: int) -> bytes:
    """The bytes of a key or signature; no error ever holds what the file holds."""
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    name, _, value = text.strip().partition(b" ")
    try:
        raw = base64.b64decode(value, validate=True)
    except ValueError:
        raw = b""
    if name != kind.encode() or len(raw) != length:
        raise InputError(f"{path}: is no file of the form {kind!r}")
    return raw


def _write(path: str, kind: str, raw: bytes, *, mode: int, exclusive: bool) -> None:
    target = path if exclusive else f"{path}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_EXCL if exclusive else os.O_TRUNC)
    try:
        with open(os.open(target, flags, mode), "w", encoding="ascii") as file:
            file.write(f"{kind} {base64.b64encode(raw).decode()}\n")
        if not exclusive:
            os.replace(target, path)
    except FileExistsError:
        raise InputError(f"{path}: is there already; a key is never overwritten") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
