"""The trusted manifests: a folder that holds one for each image, by whatever names and in whatever subfolders."""

import os
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Final, Literal

from drift_agent.errors import ConfigError, IncompleteError, InputError
from drift_agent.image import sign
from drift_agent.image.manifest import Manifest
from drift_collector.fleet.model import Trusted

SUFFIX: Final = ".jsonl"


class TrustedFolder:
    """What the manifests below a folder say now, asked again and again.

    They are read anew once a file there, or the public key, is no longer the one that was read: by inode, size and
    ctime, which nobody sets back. Safe for several threads.
    """

    def __init__(self, folder: str, public_key: str | None = None) -> None:
        self._folder = folder
        self._public_key = public_key
        self._lock = Lock()
        self._seen: list[tuple[object, ...]] | None = None
        self._trusted: Mapping[str, Trusted] = {}

    def __call__(self) -> Mapping[str, Trusted]:
        """As `load_trusted`, and raises what that does."""
        with self._lock:
            seen = self._look()
            if seen != self._seen:
                self._seen = None
                self._trusted = load_trusted(self._folder, self._public_key)
                self._seen = seen
            return self._trusted

    def _look(self) -> list[tuple[object, ...]]:
        """How every file stands that is read."""
        key = [self._public_key] if self._public_key is not None else []
        manifests = list(_manifests(self._folder))
        return [_standing(path) for path in [*key, *manifests, *(path + sign.SUFFIX for path in manifests)]]


def load_trusted(folder: str, public_key: str | None = None) -> Mapping[str, Trusted]:
    """What the manifests below `folder` say, by image (`NAME@VERSION`); of each the header is read.

    With a public key each must bear a signature that fits. One that does not never stands in for one that does; where
    it is the only one of its image, it says so, and nothing is compared with it.

    Raises:
        ConfigError: the folder cannot be read, holds no manifest, or two of one image that differ.
        InputError: a manifest, a signature or the key is malformed.
    """
    found: dict[str, tuple[str, Trusted]] = {}
    refused: dict[str, Trusted] = {}
    for path in _manifests(folder):
        with Manifest.open(path) as manifest:
            header = manifest.header
            signature = _signature(manifest, public_key)
        trusted = Trusted(
            header.stamp, header.digest, header.policy_digest, signature, volatile_state=header.volatile_state
        )
        if not trusted.usable:
            refused.setdefault(header.stamp, trusted)
            continue
        other, known = found.setdefault(header.stamp, (path, trusted))
        if known != trusted:
            raise ConfigError(
                f"{path} and {other} are both of image {header.stamp} and differ: keep the one that its instances were"
                " launched from, and give each bake a version of its own"
            )
    if not found and not refused:
        raise ConfigError(f"{folder}: holds no manifest (*{SUFFIX}): put there what 'drift image bake' wrote")
    return refused | {stamp: trusted for stamp, (_, trusted) in found.items()}


def _signature(manifest: Manifest, public_key: str | None) -> Literal["", "good", "missing", "bad"]:
    if public_key is None:
        return ""
    if not os.path.exists(manifest.path + sign.SUFFIX):
        return "missing"
    try:
        sign.verify_open(manifest, public_key)
    except IncompleteError:
        return "bad"
    return "good"


def _standing(path: str) -> tuple[object, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return (path,)
    return path, status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns


def _manifests(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}")

    if not os.path.isdir(folder):
        raise ConfigError(f"{folder}: is no folder: --manifests names the one that holds the trusted manifests")
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (os.path.join(parent, name) for name in sorted(names) if name.endswith(SUFFIX))
