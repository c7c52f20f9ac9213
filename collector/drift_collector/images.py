"""The trusted manifests: a folder that holds one for each image, by whatever names and in whatever subfolders."""

import os
from collections.abc import Iterator, Mapping
from typing import Final

from drift_agent.errors import ConfigError, InputError
from drift_agent.image.manifest import Manifest
from drift_collector.fleet.model import Trusted

SUFFIX: Final = ".jsonl"


def load_trusted(folder: str) -> Mapping[str, Trusted]:
    """What the manifests below `folder` say, by image (`NAME@VERSION`); only their headers are read.

    Raises:
        ConfigError: the folder cannot be read, holds no manifest, or two of one image that differ.
        ManifestError: one of them is malformed or was cut short.
    """
    found: dict[str, Trusted] = {}
    origins: dict[str, str] = {}
    for path in _manifests(folder):
        with Manifest.open(path) as manifest:
            header = manifest.header
        trusted = Trusted(header.stamp, header.digest, header.policy_digest)
        if found.setdefault(header.stamp, trusted) != trusted:
            raise ConfigError(
                f"{path} and {origins[header.stamp]} are both of image {header.stamp} and differ: keep the one that"
                " its instances were launched from, and give each bake a version of its own"
            )
        origins.setdefault(header.stamp, path)
    if not found:
        raise ConfigError(f"{folder}: holds no manifest (*{SUFFIX}): put there what 'drift image bake' wrote")
    return found


def _manifests(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}")

    if not os.path.isdir(folder):
        raise ConfigError(f"{folder}: is no folder: --manifests names the one that holds the trusted manifests")
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (os.path.join(parent, name) for name in sorted(names) if name.endswith(SUFFIX))
