"""`drift image export | diff | learn`: a manifest in another form, two of them, and what clean boots teach."""

import json
import sys
from typing import Annotated, Final, Literal, TypeAlias

import typer

from drift_agent.cli import image_text
from drift_agent.cli.common import EPILOG, OutputOption, to_json, write_document
from drift_agent.cli.image_sign import ManifestFile
from drift_agent.errors import EXIT_OK, EXIT_RECYCLE, InputError
from drift_agent.files import read_bounded
from drift_agent.image import learn as learning
from drift_agent.image import mtree
from drift_agent.image.delta import delta, grouped, owners_of
from drift_agent.image.manifest import Manifest

MAX_DOCUMENT_BYTES: Final = 256 << 20

Format: TypeAlias = Literal["text", "json"]


def register(app: typer.Typer) -> None:
    """Mounts the commands of this file on the group `image`."""
    for command in (export, diff, learn):
        app.command(epilog=EPILOG)(command)


def export(
    manifest: ManifestFile,
    format_: Annotated[Literal["mtree"], typer.Option("--format", help="mtree.")] = "mtree",  # noqa: ARG001
    output: OutputOption = None,
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
    output: OutputOption = None,
) -> int:
    """Says how image B differs from image A, files beneath their package: 0 equal, 2 different."""
    with Manifest.open(before) as old, Manifest.open(after) as new:
        changes = list(delta(old, new))
        groups = grouped(changes, owners_of(changes, old, new))
        if format_ == "json":
            text = to_json(image_text.delta_document(old.header, new.header, groups))
        else:
            text = image_text.delta_text(old.header, new.header, groups)
        compared = [(each.header.policy_digest, each.header.mounts) for each in (old, new)]
        differs = bool(changes) or compared[0] != compared[1]
    write_document(text, output)
    return EXIT_RECYCLE if differs else EXIT_OK


def learn(
    documents: Annotated[
        list[str], typer.Argument(metavar="CHECK.json...", help="Check documents of clean boots of one image.")
    ],
    output: OutputOption = None,
) -> int:
    """Proposes the rules that clean boots of an image need, each with its reason, as a policy file."""
    proposals = learning.learn([(name, _read(name)) for name in documents])
    write_document(learning.to_toml(proposals), output)
    return EXIT_OK


def _read(name: str) -> object:
    try:
        document: object = json.loads(read_bounded(name, MAX_DOCUMENT_BYTES, InputError))
    except (ValueError, RecursionError):
        raise InputError(f"{name}: is not JSON") from None
    return document
