"""The first line of a manifest: the stamp of an image."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from drift_agent.errors import ManifestError
from drift_agent.image import mounts
from drift_agent.image.policy import BAKED_KINDS, STATE_FOLDER, Policy
from drift_agent.image.semantics import ATTRIBUTES, HASH, SEMANTICS

SCHEMA: Final = "driftline.manifest/1"
MAX_HEADER_BYTES: Final = 4 << 20

_DIGEST: Final = re.compile(r"\d{1,9}:sha256:[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+:-]{0,199}")


def is_image_name(text: str) -> bool:
    """Whether it can be the name or the version of an image: letters, digits and `._/+:-`, at most 200."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class Header:
    """What the manifest is of, and how its digest was made.

    `digest` covers the frozen and structural items. `length` is the bytes behind the header; `counts` items by kind;
    `unreadable` how many of them the bake could not read in full; `mounts` the mount points that belong to the image,
    with the type of their file systems (empty where nobody said); `attributes` those that the bake could read;
    `not_applicable` kinds that have no meaning in this image; `hostname` the one baked in, which tells no instance from
    another; `built` RFC 3339, or empty.
    """

    image: str
    version: str
    policy: Policy
    digest: str
    length: int
    counts: Mapping[str, int]
    os: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)
    attributes: tuple[str, ...] = ATTRIBUTES
    not_applicable: tuple[str, ...] = ()
    hostname: str = ""
    unreadable: int = 0
    built: str = ""
    schema: str = SCHEMA
    semantics: int = SEMANTICS
    hash: str = HASH

    @property
    def stamp(self) -> str:
        """`NAME@VERSION`, or `NAME`: the value of the tag `image`."""
        return f"{self.image}@{self.version}" if self.version else self.image

    @cached_property
    def policy_digest(self) -> str:
        """Digest of the effective policy."""
        return self.policy.digest()

    @property
    def volatile_state(self) -> bool:
        """Whether the image keeps the agent's state folder on a mount that does not outlive a boot."""
        return mounts.is_volatile(STATE_FOLDER, self.mounts)

    def encode(self) -> bytes:
        """The header's line, with its newline."""
        values = {
            "schema": self.schema,
            "semantics": self.semantics,
            "hash": self.hash,
            "image": self.image,
            "version": self.version,
            "os": dict(self.os),
            "built": self.built,
            "digest": self.digest,
            "counts": dict(self.counts),
            "length": self.length,
            "unreadable": self.unreadable,
            "not_applicable": list(self.not_applicable),
            "attributes": list(self.attributes),
            "mounts": dict(self.mounts),
            "hostname": self.hostname,
            "policy_digest": self.policy_digest,
            "policy": self.policy.to_header(),
        }
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Header":
        """What `encode` gave.

        Raises:
            ManifestError: anything else; the message says what, not where.
        """
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            raise ManifestError("the header is not JSON") from None
        if not isinstance(values, dict) or not isinstance(values.get("schema"), str):
            raise ManifestError("the first line is not a manifest's header")
        if values["schema"] != SCHEMA:
            raise ManifestError(f"is of schema {values['schema']!r}, and this version reads {SCHEMA!r}")
        if values.get("hash") != HASH:
            raise ManifestError(f"hash is {values.get('hash')!r}, and this version knows {HASH!r}")
        read = _Reader(values)
        header = cls(
            image=read.name("image"),
            version=read.name("version") if read.text("version") else "",
            policy=Policy.from_header(values.get("policy")),
            digest=read.digest("digest"),
            length=read.count("length"),
            counts=read.counts("counts"),
            os=read.texts_by_name("os"),
            mounts=read.texts_by_name("mounts"),
            attributes=read.texts("attributes"),
            not_applicable=read.texts("not_applicable"),
            hostname=read.text("hostname"),
            unreadable=read.count("unreadable"),
            built=read.text("built"),
            semantics=read.count("semantics"),
        )
        if header.semantics == SEMANTICS and header.policy_digest != read.digest("policy_digest"):
            raise ManifestError("policy_digest is not the digest of the policy beside it: bake it again")
        return header


class _Reader:
    """Members of a JSON object, each checked for its type."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not isinstance(value, str) or len(value) > 4096:
            raise ManifestError(f"{name} must be a string")
        return value

    def name(self, name: str) -> str:
        value = self.text(name)
        if not is_image_name(value):
            raise ManifestError(f"{name} may hold letters, digits and ._/+:-, at most 200")
        return value

    def digest(self, name: str) -> str:
        value = self.text(name)
        if _DIGEST.fullmatch(value) is None:
            raise ManifestError(f"{name} is not of the form VERSION:sha256:HEX")
        return value

    def count(self, name: str) -> int:
        value = self._values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
            raise ManifestError(f"{name} must be a count")
        return value

    def counts(self, name: str) -> dict[str, int]:
        value = self._values.get(name)
        if not isinstance(value, dict) or not all(kind in BAKED_KINDS for kind in value):
            raise ManifestError(f"{name} must be an object of counts by kind; is the manifest of a newer version?")
        members = _Reader({f"{name}.{kind}": count for kind, count in value.items()})
        return {kind: members.count(f"{name}.{kind}") for kind in value}

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise ManifestError(f"{name} must be a list of strings")
        return tuple(value)

    def texts_by_name(self, name: str) -> dict[str, str]:
        value = self._values.get(name)
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise ManifestError(f"{name} must be an object of strings")
        return dict(value)
