"""`drift image`: signatures, other forms of a manifest, and what to make of many."""

import json
import sys
from typing import Annotated, Literal, TypeAlias

import typer

from drift_agent.cli import image_text
from drift_agent.cli.common import EPILOG, to_json, write_document
from drift_agent.errors import EXIT_OK, EXIT_RECYCLE, InputError
from drift_agent.image import learn as learning
from drift_agent.image import mtree
from drift_agent.image import sign as signing
from drift_agent.image.delta import delta, grouped, owners_of
from drift_agent.image.manifest import Manifest

MAX_DOCUMENT_BYTES = 256 << 20

ManifestFile = Annotated[str, typer.Option("--manifest", metavar="FILE", help="The manifest.")]
Output = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; standard output.")]
Format: TypeAlias = Literal["text", "json"]


def register(app: typer.Typer) -> None:
    """Mounts the commands of this file on the group `image`."""
    for command in (keygen, sign, verify, export, diff, learn):
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


def export(
    manifest: ManifestFile,
    format_: Annotated[Literal["mtree"], typer.Option("--format", help="mtree.")] = "mtree",  # noqa: ARG001
    output: Output = None,
) -> int:
    """Writes the files of a manifest in another tool's form."""
    with Manifest.open(manifest) as opened:
        if output is None:
            sys.stdout.writelines(mtree.export(opened))
        else:
            write_document("".join(mtree.export(opened)), output)
    return EXIT_OK


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A manifest.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The one to compare it with.")],
    format_: Annotated[Format, typer.Option("--format", help="text or json.")] = "text",
    output: Output = None,
) -> int:
    """Says how image B differs from image A, files beneath their package: 0 equal, 2 different."""
    with Manifest.open(before) as old, Manifest.open(after) as new:
        changes = list(delta(old, new))
        groups = grouped(changes, owners_of(changes, old, new))
        if format_ == "json":
            text = to_json(image_text.delta_document(old.header, new.header, groups))
        else:
            text = image_text.delta_text(old.header, new.header, groups)
    write_document(text, output)
    return EXIT_RECYCLE if changes else EXIT_OK


def learn(
    documents: Annotated[
        list[str], typer.Argument(metavar="CHECK.json...", help="Check documents of clean boots of one image.")
    ],
    output: Output = None,
) -> int:
    """Proposes the rules that clean boots of an image need, each with its reason, as a policy file."""
    proposals = learning.learn([(name, _read(name)) for name in documents])
    write_document(learning.to_toml(proposals), output)
    return EXIT_OK


def _read(name: str) -> object:
    try:
        with open(name, "rb") as file:
            raw = file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise InputError(f"{name}: is over 256 MiB, which no check document is")
    try:
        document: object = json.loads(raw)
    except (ValueError, RecursionError):
        raise InputError(f"{name}: is not JSON") from None
    return document
