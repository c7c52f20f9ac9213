"""`drift image keygen | sign | verify`."""

import sys
from typing import Annotated

import typer

from drift_agent.cli.common import EPILOG
from drift_agent.errors import EXIT_OK
from drift_agent.image import sign as signing
from drift_agent.image.manifest import Manifest

ManifestFile = Annotated[str, typer.Option("--manifest", metavar="FILE", help="The manifest.")]


def register(app: typer.Typer) -> None:
    """Mounts the commands of this file on the group `image`."""
    for command in (keygen, sign, verify):
        app.command(epilog=EPILOG)(command)


def keygen(
    key: Annotated[
        str, typer.Option("--key", metavar="FILE", help="Where the private key goes; keep it off the image.")
    ],
    public: Annotated[str, typer.Option("--public", metavar="FILE", help="Where the public key goes.")],
) -> int:
    """Makes a key pair to sign manifests with."""
    sys.stdout.write(f"{signing.keygen(key, public)}\n")
    return EXIT_OK


def sign(
    manifest: ManifestFile,
    key: Annotated[str, typer.Option("--key", metavar="FILE", help="The private key.")],
) -> int:
    """Signs a manifest: writes FILE.sig beside it."""
    Manifest.open(manifest).close()  # whatever else bore a signature would only fail where it is verified
    sys.stdout.write(f"{signing.sign(manifest, key)}\n")
    return EXIT_OK


def verify(
    manifest: ManifestFile,
    public: Annotated[str, typer.Option("--public", metavar="FILE", help="The public key.")],
) -> int:
    """Checks a manifest and its signature: 0 good, 3 bad, 1 where one of them cannot be read."""
    fingerprint = signing.verify(manifest, public)
    with Manifest.open(manifest) as opened:
        count = sum(1 for _ in opened.items())
        sys.stdout.write(f"good: {opened.header.stamp}, {count} items, signed by {fingerprint}\n")
    return EXIT_OK
