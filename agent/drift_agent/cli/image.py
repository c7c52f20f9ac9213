"""`drift image`: bake a manifest, check a tree against it, ask which rule decides."""

import os
import sys
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

import typer

from drift_agent.cli import image_documents, image_sign, image_text
from drift_agent.cli.common import EPILOG, make_app, to_json, write_document
from drift_agent.cli.progress import watched
from drift_agent.drift.check import check_tree
from drift_agent.errors import EXIT_HOLD, EXIT_OK, EXIT_RECYCLE, ConfigError, ManifestError
from drift_agent.image import osrelease
from drift_agent.image.bake import bake as bake_tree
from drift_agent.image.manifest import Manifest
from drift_agent.image.mounts import parse_given
from drift_agent.image.policy import RULE_KINDS
from drift_agent.image.policy_file import CLOUD_INIT, PROFILES, load_policy

app = make_app("What an image is: bake its manifest, check a tree against it.")

Format: TypeAlias = Literal["text", "json"]
Root = Annotated[str, typer.Option("--root", metavar="DIR", help="The folder that stands for /.")]
ManifestFile = Annotated[str, typer.Option("--manifest", metavar="FILE", help="The manifest to go by.")]
PolicyFile = Annotated[str | None, typer.Option("--policy", metavar="FILE", help="Rules on top of the profile (TOML).")]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help=f"{', '.join(PROFILES)}; the root's distribution by default."),
]
Output = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; standard output.")]


@app.command(epilog=EPILOG)
def bake(
    root: Root,
    image: Annotated[str, typer.Option("--image", metavar="NAME", help="The image's name.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Where to write the manifest.")],
    version: Annotated[str, typer.Option("--version", metavar="V", help="The image's version.")] = "",
    policy: PolicyFile = None,
    profile: Profile = None,
    mount: Annotated[
        list[str] | None,
        typer.Option("--mount", metavar="PATH[=TYPE]", help="A mount point of the image, beside its fstab's."),
    ] = None,
    built: Annotated[
        str, typer.Option("--built", metavar="TIME", help="RFC 3339; else SOURCE_DATE_EPOCH's; else none stands.")
    ] = "",
    content: Annotated[
        bool, typer.Option(help="Keep small text files in content/ beside the manifest, for diffs.")
    ] = True,
    allow_unreadable: Annotated[
        bool, typer.Option("--allow-unreadable", help="Record what cannot be read as such, and go on.")
    ] = False,
) -> int:
    """Writes the manifest of a root tree: the same tree under the same policy gives the same bytes."""
    layers, accounts = osrelease.layers_of(root), osrelease.account_rules(root)
    rules = load_policy(policy, _profile_of(policy, root) if profile is None else profile, layers=layers, more=accounts)
    with watched("baking", None) as scan:
        header = bake_tree(
            root,
            image,
            version,
            rules,
            output,
            built=_built(built),
            allow_unreadable=allow_unreadable,
            progress=scan.progress,
            pace=scan.pace,
            image_mounts=dict(parse_given(text) for text in mount or ()),
            keep_content=content,
        )
    sys.stdout.write(image_text.baked(header, output))
    return EXIT_OK


@app.command(epilog=EPILOG)
def check(
    root: Root,
    manifest: ManifestFile,
    format_: Annotated[Format, typer.Option("--format", help="text or json.")] = "text",
    output: Output = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count differences of the sealed class too.")] = False,
) -> int:
    """Compares a root tree with a manifest: 0 equal, 2 different, 3 where something could not be read."""
    with Manifest.open(manifest) as opened:
        with watched("checking", sum(opened.header.counts.values())) as scan:
            result = check_tree(root, opened, progress=scan.progress, pace=scan.pace)
        if result.belies(opened.header.digest):
            raise ManifestError(
                f"{manifest}: its items do not add up to the digest in its header: it was changed after the bake;"
                " fetch it again, or bake anew"
            )
        document = image_text.check_document(result, strict=strict)
        text = image_text.check_text(result, opened.header, strict=strict)
    write_document(to_json(document) if format_ == "json" else text, output)
    if result.differs or (strict and result.changes):
        return EXIT_RECYCLE
    return EXIT_HOLD if result.unreadable else EXIT_OK


@app.command(epilog=EPILOG)
def explain(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="A path of the image, beginning with /; with --kind, a key as reports show it."
        ),
    ],
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help=f"{', '.join(RULE_KINDS)}.")] = "file",
    manifest: Annotated[str | None, typer.Option("--manifest", metavar="FILE", help="Ask a manifest's policy.")] = None,
    policy: PolicyFile = None,
    profile: Profile = None,
    cloud_init: Annotated[bool, typer.Option(help="With the layer of cloud-init.")] = True,
) -> int:
    """Says which rule decides how a path is compared, or an item of another kind."""
    if kind not in RULE_KINDS:
        raise ConfigError(f"--kind {kind}: is none of {', '.join(RULE_KINDS)}")
    if kind == "file" and not path.startswith("/"):
        raise ConfigError(f"{path}: give the path in the image, beginning with '/', or a key of another --kind")
    if kind == "file" and not {".", ".."}.isdisjoint(path.split("/")):
        raise ConfigError(f"{path}: give the path as it stands in the image, without '.' and '..'")
    if manifest is not None and (policy is not None or profile is not None):
        raise ConfigError("give --manifest, or --policy and --profile, not both")
    if manifest is not None:
        with Manifest.open(manifest) as opened:
            rules = opened.header.policy
    else:
        rules = load_policy(
            policy,
            _profile_of(policy, "/") if profile is None else profile,
            layers=(CLOUD_INIT,) if cloud_init else (),
        )
    sys.stdout.write(image_text.explained(path, rules, kind))
    return EXIT_OK


image_sign.register(app)
image_documents.register(app)


def _profile_of(policy: str | None, root: str) -> str | None:
    """The root's own profile where nobody names one; a policy file names its own."""
    return osrelease.profile_of(root) if policy is None else None


def _built(given: str) -> str:
    """The build time as RFC 3339 in UTC; the environment's where none is given; empty where there is none."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not given and not epoch:
        return ""
    try:
        time_ = datetime.fromisoformat(given) if given else datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError):
        what = f"--built {given!r}" if given else f"SOURCE_DATE_EPOCH {epoch!r}"
        raise ConfigError(f"{what}: is no time such as 2026-01-31T12:00:00Z") from None
    if time_.tzinfo is None:
        raise ConfigError(f"--built {given!r}: has no time zone; write 2026-01-31T12:00:00Z")
    try:
        return time_.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        raise ConfigError(f"--built {given!r}: is beyond the years that there are in UTC") from None
